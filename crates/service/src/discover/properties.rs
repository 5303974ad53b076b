//! `DISCOVER_PROPERTIES`: what clients ask first.

use evercube_base::{Rowset, Value};

use super::context::DiscoverContext;
use super::text;

/// Name, type, access, value where it never changes (empty for none).
type Property = (&'static str, &'static str, &'static str, &'static str);

const R: &str = "Read";
const W: &str = "Write";
const RW: &str = "ReadWrite";

const PROPERTIES: &[Property] = &[
    ("ProviderName", "string", R, ""),
    ("ProviderVersion", "string", R, ""),
    ("DBMSVersion", "string", R, ""),
    ("ProviderType", "int", R, "6"),
    ("ServerName", "string", R, ""),
    ("Catalog", "string", RW, ""),
    ("MdpropMdxSubqueries", "int", R, "63"),
    ("MdpropMdxDrillFunctions", "int", R, "7"),
    ("MdpropMdxNamedSets", "int", R, "15"),
    ("MdpropMdxDdlExtensions", "int", R, "23"),
    ("MdpropMdxFormulas", "int", R, "63"),
    ("MdpropMdxMemberFunctions", "int", R, "15"),
    ("MdpropMdxSetFunctions", "int", R, "524287"),
    ("MdpropMdxNumericFunctions", "int", R, "2047"),
    ("MdpropMdxObjQualification", "int", R, "496"),
    ("MdpropMdxStringCompop", "int", R, "15"),
    ("MdpropMdxDescFlags", "int", R, "7"),
    ("MdpropMdxCaseSupport", "int", R, "3"),
    ("MdpropMdxJoinCubes", "int", R, "1"),
    ("MdpropMdxOuterReference", "int", R, "0"),
    ("MdpropMdxSlicer", "int", R, "2"),
    ("MdpropMdxRangeRowset", "int", R, "4"),
    ("MdpropMdxQueryByProperty", "boolean", R, "true"),
    ("MdpropNamedLevels", "int", R, "3"),
    ("MdpropAxes", "int", R, "2147483647"),
    ("MdpropFlatteningSupport", "int", R, "1"),
    ("MdpropAggregateCellUpdate", "int", R, "4"),
    ("StateSupport", "string", R, "Sessions"),
    ("MDXSupport", "string", R, "Core"),
    ("SQLSupport", "int", R, "512"),
    ("DbpropSqlSupport", "int", R, "512"),
    ("DbpropCatalogTerm", "string", R, "Database"),
    ("DbpropTableTerm", "string", R, "Cube"),
    ("DbpropCatalogUsage", "int", R, "0"),
    ("DbpropCatalogLocation", "int", R, "1"),
    ("CatalogLocation", "int", R, "1"),
    ("UpdateIsolationLevel", "int", R, "2"),
    ("DbpropSupportedTxnIsoLevels", "int", R, "4096"),
    ("DbpropSupportedTxnDdl", "int", R, "0"),
    ("DbpropMsmdSubqueries", "int", RW, "0"),
    ("DbpropMsmdOptimizeResponse", "long", RW, "0"),
    ("DbpropMsmdMDXCompatibility", "int", RW, "0"),
    ("DbpropMsmdMDXUniqueNameStyle", "int", RW, "0"),
    ("DbpropMsmdFlattened2", "boolean", RW, "false"),
    ("DbpropMsmdActivityID", "string", RW, ""),
    ("DbpropMsmdRequestID", "string", RW, ""),
    ("DbpropMsmdCurrentActivityID", "string", RW, ""),
    ("DbpropMsmdRequestMemoryLimit", "int", RW, "0"),
    ("DbpropMsmdCachePolicy", "int", RW, "7"),
    ("DbpropMsmdCacheRatio2", "double", RW, "1"),
    ("SafetyOptions", "int", RW, "0"),
    ("MdxMissingMemberMode", "string", W, ""),
    ("VisualMode", "int", RW, "0"),
    ("ShowHiddenCubes", "boolean", RW, "false"),
    ("RealTimeOlap", "boolean", RW, "false"),
    ("ReturnCellProperties", "boolean", RW, "false"),
    ("NonEmptyThreshold", "int", RW, "0"),
    ("SecuredCellValue", "int", RW, "0"),
    ("CompareCaseSensitiveStringFlags", "int", RW, "0"),
    ("CompareCaseNotSensitiveStringFlags", "int", RW, "0"),
    ("LocaleIdentifier", "int", RW, "1033"),
    ("Language", "int", RW, ""),
    ("Format", "string", W, ""),
    ("AxisFormat", "string", W, ""),
    ("Content", "string", W, "SchemaData"),
    ("BeginRange", "int", W, "-1"),
    ("EndRange", "int", W, "-1"),
    ("ExecutionMode", "string", W, "Execute"),
    ("Timeout", "unsignedInt", RW, "0"),
    ("MaximumRows", "long", W, ""),
    ("Cube", "string", RW, ""),
    ("Dialect", "string", W, ""),
    ("DataSourceInfo", "string", RW, ""),
    ("UserName", "string", RW, ""),
    ("Password", "string", W, ""),
    ("EffectiveUserName", "string", RW, ""),
    ("Roles", "string", RW, ""),
    ("EffectiveRoles", "string", RW, ""),
    ("CustomData", "string", RW, ""),
    ("SspropInitAppName", "string", RW, ""),
    ("SspropInitWsid", "string", RW, ""),
    ("SspropInitPacketsize", "int", RW, ""),
    ("ClientProcessID", "int", RW, ""),
    ("ReturnAffectedObjects", "int", W, ""),
    ("DirectQueryMode", "string", W, ""),
    ("ImpactAnalysis", "boolean", W, ""),
    ("ResponseEncoding", "string", W, ""),
    ("DataView", "string", W, ""),
];

pub(super) fn fill(out: &mut Rowset, context: &DiscoverContext<'_>) {
    for (name, kind, access, fixed) in PROPERTIES {
        let value = match *name {
            "ProviderName" => Some("Evercube".to_owned()),
            "ProviderVersion" | "DBMSVersion" => Some(context.server.version.clone()),
            "ServerName" => Some(context.server.name.clone()),
            "UserName" => Some(context.user.to_owned()),
            // The client compares it with what it asked for.
            "Catalog" => match context.catalog {
                Some(c) if context.database(c).is_some() => Some(c.to_owned()),
                _ => context.current().map(|d| d.name.to_owned()),
            },
            "Password" => None,
            _ if *access == RW => context.property(name).map(str::to_owned),
            _ => None,
        };
        let value = value.or_else(|| Some((*fixed).to_owned())).filter(|v| !v.is_empty());
        out.push(&[
            ("PropertyName", text(name)),
            ("PropertyDescription", text(name)),
            ("PropertyType", text(kind)),
            ("PropertyAccessType", text(access)),
            ("IsRequired", Value::Boolean(false)),
            ("Value", value.map_or(Value::Blank, Value::from)),
        ]);
    }
}
