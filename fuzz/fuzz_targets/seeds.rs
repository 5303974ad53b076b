//! Writes the seeds of every target, and a dictionary of its words, below the folder that is named.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "corpus".into());
    for target in &evercube_fuzzing::TARGETS {
        let of = Path::new(&folder).join(target.name);
        std::fs::create_dir_all(&of)?;
        for (n, seed) in (target.seeds)().iter().enumerate() {
            std::fs::write(of.join(format!("seed-{n}")), seed)?;
        }
        let quoted = |word: &&str| {
            let hex = |b: u8| format!("\\x{b:02x}");
            format!("\"{}\"\n", word.bytes().map(hex).collect::<String>())
        };
        let words: String = target.words.iter().map(quoted).collect();
        std::fs::write(Path::new(&folder).join(format!("{}.dict", target.name)), words)?;
    }
    Ok(())
}
