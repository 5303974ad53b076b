//! A real PostgreSQL, started for the test where one is installed.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use evercube_base::{DataType, DateTime, Decimal, RowBatch, Value};
use evercube_model::tabular::{DataSource, PartitionSource, Text};
use evercube_sources::{
    Authorities, ClientCertificate, ColumnRequest, FilePolicy, Login, Logins, SourceContext,
    read_partition, source_named,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

struct Server {
    child: Child,
    port: u16,
    dir: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        // An interrupt lets PostgreSQL end its own processes.
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-INT", &pid]).status();
        let _ = self.child.wait();
    }
}

fn binaries() -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .flatten()
        .map(|e| e.path().join("bin"))
        .filter(|p| p.join("initdb").exists() && p.join("postgres").exists())
        .collect();
    found.sort();
    found.pop()
}

/// Runs as the user `postgres` when the test runs as root, which initdb refuses.
fn command(program: &Path, root: bool) -> Command {
    let mut c = if root {
        let mut c = Command::new("setpriv");
        c.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
        c
    } else {
        Command::new(program)
    };
    c.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir("/");
    c
}

/// Certificates of two authorities, and one of the first for a server called `localhost`.
fn certificates(folder: &Path) -> Result<(), String> {
    let script = "set -e; key='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
        for ca in ca other; do openssl req -x509 $key -days 2 -subj /CN=$ca -keyout $ca.key -out $ca.pem; done
        openssl req $key -subj /CN=localhost -keyout server.key -out server.csr
        echo subjectAltName=DNS:localhost > names
        openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
            -extfile names -out server.crt
        openssl req $key -subj /CN=etl -keyout etl.key -out etl.csr
        openssl x509 -req -in etl.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out etl.pem
        openssl x509 -req -in etl.csr -CA other.pem -CAkey other.key -CAcreateserial -days 2 -extfile names -out foreign.pem
        chmod 600 server.key";
    match Command::new("sh").args(["-c", script]).current_dir(folder).output() {
        Ok(out) if out.status.success() => Ok(()),
        Ok(out) => Err(String::from_utf8_lossy(&out.stderr).into_owned()),
        Err(e) => Err(e.to_string()),
    }
}

/// `encrypts`: whether connections may be encrypted.
fn start(encrypts: bool) -> Result<Server, String> {
    let bin = binaries().ok_or("PostgreSQL is not installed")?;
    let id = Command::new("id").arg("-u").output().map_err(|e| e.to_string())?;
    let root = id.stdout.starts_with(b"0");
    let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
    let data = dir.path().join("data");
    std::fs::create_dir(&data).map_err(|e| e.to_string())?;
    if encrypts {
        certificates(dir.path())?;
    }
    if root {
        let s = Command::new("chown").args(["-R", "postgres"]).arg(dir.path()).status();
        if !s.is_ok_and(|s| s.success()) {
            return Err("there is no user postgres".into());
        }
    }
    let s = command(&bin.join("initdb"), root)
        .args(["-A", "trust", "-U", "tester", "-E", "UTF8", "--no-sync", "-D"])
        .arg(&data)
        .status();
    if !s.is_ok_and(|s| s.success()) {
        return Err("initdb did not work".into());
    }
    if encrypts {
        // The user etl is known by a certificate and by nothing else.
        let file = data.join("pg_hba.conf");
        let rules = std::fs::read_to_string(&file).map_err(|e| e.to_string())?;
        let rules = format!("hostssl all etl all cert\nhostnossl all etl all reject\n{rules}");
        std::fs::write(&file, rules).map_err(|e| e.to_string())?;
    }
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .map_err(|e| e.to_string())?
        .port();
    let ca = format!("ssl_ca_file={}", dir.path().join("ca.pem").display());
    let by_certificate = ["-c", ca.as_str()];
    let child = command(&bin.join("postgres"), root)
        .args(if encrypts { &by_certificate[..] } else { &[] })
        .arg("-D")
        .arg(&data)
        .args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k", ""])
        .args(["-c", if encrypts { "ssl=on" } else { "ssl=off" }])
        .args(["-c", &format!("ssl_cert_file={}", dir.path().join("server.crt").display())])
        .args(["-c", &format!("ssl_key_file={}", dir.path().join("server.key").display())])
        .spawn()
        .map_err(|e| e.to_string())?;
    let server = Server { child, port, dir };
    let began = Instant::now();
    while let Err(e) = client(port, "SELECT 1") {
        if began.elapsed() > Duration::from_secs(20) {
            return Err(format!("PostgreSQL did not start: {e}"));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(server)
}

fn client(port: u16, sql: &str) -> Result<(), String> {
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    rt.block_on(async {
        let text = format!("host=127.0.0.1 port={port} user=tester dbname=postgres");
        let (c, connection) = tokio_postgres::connect(&text, tokio_postgres::NoTls)
            .await
            .map_err(|e| e.to_string())?;
        tokio::spawn(connection);
        c.batch_execute(sql).await.map_err(|e| format!("{e:?}"))
    })
}

fn read(
    ctx: &SourceContext,
    source: &PartitionSource,
    columns: &[(&str, DataType)],
) -> evercube_base::Result<(u64, Vec<RowBatch>)> {
    let columns: Vec<ColumnRequest> = columns
        .iter()
        .map(|(n, t)| ColumnRequest {
            source_column: (*n).into(),
            data_type: *t,
            name: (*n).into(),
        })
        .collect();
    let mut out = Vec::new();
    let n = read_partition(ctx, source, &columns, &mut |b| {
        out.push(b);
        Ok(())
    })?;
    Ok((n, out))
}

#[test]
fn rows_of_a_real_database() {
    let server = match start(false) {
        Ok(s) => s,
        Err(e) => return println!("skipped: {e}"),
    };
    let port = server.port;
    client(
        port,
        "CREATE SCHEMA s; CREATE TABLE s.\"T t\" (id int, big bigint, n numeric(20,6), f float8, \
         b bool, d date, ts timestamptz, u uuid, j jsonb, t text); \
         INSERT INTO s.\"T t\" VALUES (1, 9007199254740993, 12.345650, 1.5, true, '2024-01-31', \
         '2024-01-31 10:00:00+00', '00112233-4455-6677-8899-aabbccddeeff', '{\"a\": 1}', 'Müller'), \
         (2, null, -0.0001, null, null, null, null, null, null, null); \
         CREATE TABLE s.big AS SELECT g AS id, 'x' || g % 5 AS t FROM generate_series(1, 50000) g",
    )
    .unwrap();
    let structured: DataSource = serde_json::from_value(serde_json::json!({
        "type": "structured", "name": "PG",
        "connectionDetails": {"protocol": "postgresql",
            "address": {"server": format!("127.0.0.1:{port}"), "database": "postgres"}},
        "credential": {"Username": "tester", "Password": "x"}
    }))
    .unwrap();
    let legacy: DataSource = serde_json::from_value(serde_json::json!({
        "type": "provider", "name": "Old",
        "connectionString":
            format!("Host=127.0.0.1;Port={port};Database=postgres;Username=tester;Password=x")
    }))
    .unwrap();
    let ctx = SourceContext {
        expressions: vec![],
        data_sources: vec![structured, legacy],
        logins: evercube_sources::Logins::default(),
        authorities: Authorities::default(),
        policy: FilePolicy::Any,
        hosts: evercube_sources::SourceHosts::default(),
        working_dir: "/".into(),
        cancel: Arc::new(AtomicBool::new(false)),
        files: evercube_sources::FilesRead::default(),
    };
    let m = |t: &str| PartitionSource {
        kind: Some("m".into()),
        expression: Some(Text(t.into())),
        ..PartitionSource::default()
    };
    let sql = |d: &str, q: &str| PartitionSource {
        kind: Some("query".into()),
        query: Some(Text(q.into())),
        data_source: Some(d.into()),
        ..PartitionSource::default()
    };
    let columns = [
        ("t", DataType::String),
        ("id", DataType::Int64),
        ("big", DataType::Int64),
        ("n", DataType::Decimal),
        ("f", DataType::Double),
        ("b", DataType::Boolean),
        ("d", DataType::DateTime),
        ("ts", DataType::DateTime),
        ("u", DataType::String),
        ("j", DataType::String),
    ];
    let db = format!("PostgreSQL.Database(\"127.0.0.1:{port}\", \"postgres\"");
    for source in [
        m("let S = PG, T = S{[Schema=\"s\",Item=\"T t\"]}[Data] in T"),
        m(&format!("{db}){{[Schema=\"s\",Item=\"T t\"]}}[Data]")),
        m(&format!("{db}, [Query=\"select * from s.\"\"T t\"\" order by id\"])")),
        m(&format!("Value.NativeQuery({db}), \"select * from s.\"\"T t\"\" order by id\")")),
        sql("Old", "select * from s.\"T t\" order by id"),
        sql("PG", "select * from s.\"T t\" order by id"),
    ] {
        let (n, b) = read(&ctx, &source, &columns).unwrap();
        assert_eq!(n, 2);
        let row = |r: usize| b[0].columns.iter().map(|c| c.value(r)).collect::<Vec<_>>();
        let first = row(0);
        assert_eq!(first[0], Value::from("Müller"));
        assert_eq!(first[2], Value::Int(9_007_199_254_740_993));
        assert_eq!(first[3], Value::Decimal(Decimal(123_457)));
        let day = DateTime::from_ymd(2024, 1, 31).unwrap();
        assert_eq!(first[6], Value::DateTime(day));
        assert_eq!(first[7], Value::DateTime(day.with_time(36_000_000_000)));
        assert_eq!(first[8], Value::from("00112233-4455-6677-8899-aabbccddeeff"));
        assert_eq!(first[9], Value::from("{\"a\": 1}"));
        assert_eq!(row(1)[3], Value::Decimal(Decimal(-1)));
        assert_eq!(row(1)[0], Value::Blank);
    }
    let (n, b) = read(
        &ctx,
        &m("Table.SelectRows(PG{[Schema=\"s\",Item=\"big\"]}[Data], each [id] > 10)"),
        &[("t", DataType::String)],
    )
    .unwrap();
    assert_eq!(n, 49_990);
    assert!(b.len() > 1);
    let e = read(&ctx, &sql("Old", "select nonsense"), &columns).unwrap_err();
    assert!(e.message.contains("nonsense"), "{e}");
    let e = read(&ctx, &m("PG{[Schema=\"s\",Item=\"none\"]}[Data]"), &columns).unwrap_err();
    assert!(e.message.contains("none"), "{e}");
}

#[test]
fn a_connection_is_encrypted_and_checked_as_its_mode_says() {
    let (server, plain) = match (start(true), start(false)) {
        (Ok(server), Ok(plain)) => (server, plain),
        (Err(e), _) | (_, Err(e)) => return println!("skipped: {e}"),
    };
    let trusted = |name: &str| {
        let mut roots = rustls::RootCertStore::empty();
        if !name.is_empty() {
            let pem = CertificateDer::from_pem_file(server.dir.path().join(name)).unwrap();
            roots.add(pem).unwrap();
        }
        Authorities::new(roots)
    };
    let source = PartitionSource {
        kind: Some("query".into()),
        query: Some(Text(
            "select ssl::text as t from pg_stat_ssl where pid = pg_backend_pid()".into(),
        )),
        data_source: Some("D".into()),
        ..PartitionSource::default()
    };
    let asked_as = |who: &str, port: u16, host: &str, mode: &str, authority: &str, logins| {
        let text = format!("Host={host};Port={port};Database=postgres;SSL Mode={mode};{who}");
        let of = serde_json::json!({ "type": "provider", "name": "D", "connectionString": text });
        let ctx = SourceContext {
            expressions: vec![],
            data_sources: vec![serde_json::from_value(of).unwrap()],
            logins,
            authorities: trusted(authority),
            policy: FilePolicy::Any,
            hosts: evercube_sources::SourceHosts::default(),
            working_dir: "/".into(),
            cancel: Arc::new(AtomicBool::new(false)),
            files: evercube_sources::FilesRead::default(),
        };
        read(&ctx, &source, &[("t", DataType::String)])
            .map(|(_, rows)| format!("{:?}", rows[0].columns[0].value(0)))
            .unwrap_or_else(|e| e.message)
    };
    let asked = |port: u16, host: &str, mode: &str, authority: &str| {
        let who = "Username=tester;Password=x";
        asked_as(who, port, host, mode, authority, evercube_sources::Logins::default())
    };
    let (yes, no) = ("String(\"true\")", "String(\"false\")");
    for (mode, host, authority, said) in [
        ("Disable", "localhost", "", no),
        ("Prefer", "localhost", "", yes),
        ("require", "127.0.0.1", "", yes),
        ("verify-ca", "127.0.0.1", "ca.pem", yes),
        ("verify-ca", "localhost", "other.pem", "UnknownIssuer"),
        ("VerifyFull", "localhost", "ca.pem", yes),
        ("VerifyFull", "127.0.0.1", "ca.pem", "certificate"),
        ("VerifyFull", "localhost", "other.pem", "UnknownIssuer"),
        ("VerifyFull", "localhost", "", "trusts no authority"),
        ("perhaps", "localhost", "", "is no SSL Mode"),
    ] {
        let found = asked(server.port, host, mode, authority);
        assert!(found.contains(said), "{mode} {host} {authority}: {found}");
    }
    for (mode, said) in [("Disable", no), ("Prefer", no), ("Require", "TLS")] {
        let found = asked(plain.port, "localhost", mode, "");
        assert!(found.contains(said), "{mode}: {found}");
    }

    // Who is known by a certificate shows the one that was kept for this server.
    client(server.port, "CREATE ROLE etl LOGIN").unwrap();
    let read = |name: &str| std::fs::read_to_string(server.dir.path().join(name)).unwrap();
    let login = |certificate: &str| {
        let certificate = ClientCertificate { chain: read(certificate), key: read("etl.key") };
        Login { user: Some("etl".into()), password: String::new(), certificate: Some(certificate) }
    };
    let by = |certificate: Option<&str>, host: &str, mode: &str| {
        let path = format!("localhost:{}", server.port);
        let name = source_named("PostgreSQL", &path).unwrap();
        let logins = certificate.map(|c| (name, login(c))).into_iter().collect();
        asked_as("Username=etl", server.port, host, mode, "ca.pem", Logins(logins))
    };
    assert_eq!(by(Some("etl.pem"), "localhost", "VerifyFull"), yes);
    assert_eq!(by(Some("etl.pem"), "localhost", "Prefer"), yes);
    for (certificate, host, mode) in [
        (None, "localhost", "Require"),
        (Some("foreign.pem"), "localhost", "Require"),
        (Some("etl.pem"), "127.0.0.1", "Require"),
        (Some("etl.pem"), "localhost", "Disable"),
    ] {
        let found = by(certificate, host, mode);
        assert!(found != yes && found != no, "{certificate:?} {host} {mode}: {found}");
    }
    assert!(by(Some("etl.pem"), "localhost", "Disable").contains("is a certificate"));
    login("etl.pem").check().unwrap();
    let wrong = ClientCertificate { chain: read("etl.pem"), key: read("server.key") };
    for wrong in [wrong, ClientCertificate { chain: "x".into(), key: read("etl.key") }] {
        let e = wrong.check().unwrap_err();
        assert!(e.message.contains("certificate"), "{e}");
    }
    // Nothing on this machine is reached by a path.
    let found = asked(server.port, "/var/run/postgresql", "Disable", "");
    assert!(found.contains("is no host"), "{found}");
}
