//! The numbers Windows gives to cultures: `Language` of a database, `LocaleIdentifier` of a session.

/// Those of the commonest cultures.
const NUMBERS: &[(u32, &str)] = &[
    (1033, "en-US"),
    (2057, "en-GB"),
    (3081, "en-AU"),
    (4105, "en-CA"),
    (16393, "en-IN"),
    (6153, "en-IE"),
    (5129, "en-NZ"),
    (7177, "en-ZA"),
    (1031, "de-DE"),
    (3079, "de-AT"),
    (2055, "de-CH"),
    (1036, "fr-FR"),
    (3084, "fr-CA"),
    (4108, "fr-CH"),
    (3082, "es-ES"),
    (2058, "es-MX"),
    (1040, "it-IT"),
    (1043, "nl-NL"),
    (2067, "nl-BE"),
    (1046, "pt-BR"),
    (2070, "pt-PT"),
    (1053, "sv-SE"),
    (1030, "da-DK"),
    (1044, "nb-NO"),
    (1035, "fi-FI"),
    (1045, "pl-PL"),
    (1029, "cs-CZ"),
    (1038, "hu-HU"),
    (1049, "ru-RU"),
    (1055, "tr-TR"),
    (1041, "ja-JP"),
    (2052, "zh-CN"),
    (1028, "zh-TW"),
    (1042, "ko-KR"),
];

/// The number of a culture; that of English where it is not known.
pub(crate) fn windows_number(culture: Option<&str>) -> u32 {
    let culture = culture.unwrap_or("en-US");
    let known = NUMBERS.iter().find(|(_, name)| name.eq_ignore_ascii_case(culture));
    known.map_or(1033, |(number, _)| *number)
}

/// The culture of a number, where it is known.
pub(crate) fn culture_of(number: u32) -> Option<&'static str> {
    NUMBERS.iter().find(|(n, _)| *n == number).map(|(_, name)| *name)
}
