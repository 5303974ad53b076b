//! Separators, names and usual pictures of the supported locales.

pub(super) struct Locale {
    pub decimal: &'static str,
    pub group: &'static str,
    /// Picture of the predefined name `Currency`.
    pub currency: &'static str,
    pub date_separator: &'static str,
    pub short_date: &'static str,
    pub long_date: &'static str,
    pub long_time: &'static str,
    /// January first.
    pub months: [&'static str; 12],
    pub short_months: [&'static str; 12],
    /// Sunday first.
    pub days: [&'static str; 7],
    pub short_days: [&'static str; 7],
}

/// The locale of a name such as `de-DE`; the United States where the language is not known.
pub(super) fn by_name(name: &str) -> &'static Locale {
    let lower = name.to_ascii_lowercase();
    match lower.split(['-', '_']).next().unwrap_or("") {
        "de" => &DE,
        "fr" => &FR,
        "es" => &ES,
        "it" => &IT,
        "nl" => &NL,
        "pt" => &PT,
        _ if lower == "en-gb" => &GB,
        _ => &EN,
    }
}

static EN: Locale = EN_US;

const EN_US: Locale = Locale {
    decimal: ".",
    group: ",",
    currency: "\\$#,##0.00;(\\$#,##0.00)",
    date_separator: "/",
    short_date: "m/d/yyyy",
    long_date: "dddd, mmmm d, yyyy",
    long_time: "h:nn:ss AM/PM",
    months: [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ],
    short_months: [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ],
    days: ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"],
    short_days: ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"],
};

static GB: Locale = Locale {
    currency: "\\£#,##0.00;-\\£#,##0.00",
    short_date: "dd/mm/yyyy",
    long_date: "dd mmmm yyyy",
    long_time: "hh:nn:ss",
    ..EN_US
};

static DE: Locale = Locale {
    decimal: ",",
    group: ".",
    currency: "#,##0.00 \\€;-#,##0.00 \\€",
    date_separator: ".",
    short_date: "dd/mm/yyyy",
    long_date: "dddd, d\\. mmmm yyyy",
    long_time: "hh:nn:ss",
    months: [
        "Januar",
        "Februar",
        "März",
        "April",
        "Mai",
        "Juni",
        "Juli",
        "August",
        "September",
        "Oktober",
        "November",
        "Dezember",
    ],
    short_months: [
        "Jan", "Feb", "Mrz", "Apr", "Mai", "Jun", "Jul", "Aug", "Sep", "Okt", "Nov", "Dez",
    ],
    days: ["Sonntag", "Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag"],
    short_days: ["So", "Mo", "Di", "Mi", "Do", "Fr", "Sa"],
};

static FR: Locale = Locale {
    decimal: ",",
    group: "\u{a0}",
    currency: "#,##0.00 \\€;-#,##0.00 \\€",
    date_separator: "/",
    short_date: "dd/mm/yyyy",
    long_date: "dddd d mmmm yyyy",
    long_time: "hh:nn:ss",
    months: [
        "janvier",
        "février",
        "mars",
        "avril",
        "mai",
        "juin",
        "juillet",
        "août",
        "septembre",
        "octobre",
        "novembre",
        "décembre",
    ],
    short_months: [
        "janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.",
        "déc.",
    ],
    days: ["dimanche", "lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi"],
    short_days: ["dim.", "lun.", "mar.", "mer.", "jeu.", "ven.", "sam."],
};

static ES: Locale = Locale {
    decimal: ",",
    group: ".",
    currency: "#,##0.00 \\€;-#,##0.00 \\€",
    date_separator: "/",
    short_date: "dd/mm/yyyy",
    long_date: "dddd, d \"de\" mmmm \"de\" yyyy",
    long_time: "h:nn:ss",
    months: [
        "enero",
        "febrero",
        "marzo",
        "abril",
        "mayo",
        "junio",
        "julio",
        "agosto",
        "septiembre",
        "octubre",
        "noviembre",
        "diciembre",
    ],
    short_months: [
        "ene.", "feb.", "mar.", "abr.", "may.", "jun.", "jul.", "ago.", "sep.", "oct.", "nov.",
        "dic.",
    ],
    days: ["domingo", "lunes", "martes", "miércoles", "jueves", "viernes", "sábado"],
    short_days: ["do.", "lu.", "ma.", "mi.", "ju.", "vi.", "sá."],
};

static IT: Locale = Locale {
    decimal: ",",
    group: ".",
    currency: "#,##0.00 \\€;-#,##0.00 \\€",
    date_separator: "/",
    short_date: "dd/mm/yyyy",
    long_date: "dddd d mmmm yyyy",
    long_time: "hh:nn:ss",
    months: [
        "gennaio",
        "febbraio",
        "marzo",
        "aprile",
        "maggio",
        "giugno",
        "luglio",
        "agosto",
        "settembre",
        "ottobre",
        "novembre",
        "dicembre",
    ],
    short_months: [
        "gen", "feb", "mar", "apr", "mag", "giu", "lug", "ago", "set", "ott", "nov", "dic",
    ],
    days: ["domenica", "lunedì", "martedì", "mercoledì", "giovedì", "venerdì", "sabato"],
    short_days: ["dom", "lun", "mar", "mer", "gio", "ven", "sab"],
};

static NL: Locale = Locale {
    decimal: ",",
    group: ".",
    currency: "\\€ #,##0.00;\\€ -#,##0.00",
    date_separator: "-",
    short_date: "d/m/yyyy",
    long_date: "dddd d mmmm yyyy",
    long_time: "hh:nn:ss",
    months: [
        "januari",
        "februari",
        "maart",
        "april",
        "mei",
        "juni",
        "juli",
        "augustus",
        "september",
        "oktober",
        "november",
        "december",
    ],
    short_months: [
        "jan", "feb", "mrt", "apr", "mei", "jun", "jul", "aug", "sep", "okt", "nov", "dec",
    ],
    days: ["zondag", "maandag", "dinsdag", "woensdag", "donderdag", "vrijdag", "zaterdag"],
    short_days: ["zo", "ma", "di", "wo", "do", "vr", "za"],
};

static PT: Locale = Locale {
    decimal: ",",
    group: ".",
    currency: "\"R$\" #,##0.00;-\"R$\" #,##0.00",
    date_separator: "/",
    short_date: "dd/mm/yyyy",
    long_date: "dddd, d \"de\" mmmm \"de\" yyyy",
    long_time: "hh:nn:ss",
    months: [
        "janeiro",
        "fevereiro",
        "março",
        "abril",
        "maio",
        "junho",
        "julho",
        "agosto",
        "setembro",
        "outubro",
        "novembro",
        "dezembro",
    ],
    short_months: [
        "jan", "fev", "mar", "abr", "mai", "jun", "jul", "ago", "set", "out", "nov", "dez",
    ],
    days: [
        "domingo",
        "segunda-feira",
        "terça-feira",
        "quarta-feira",
        "quinta-feira",
        "sexta-feira",
        "sábado",
    ],
    short_days: ["dom", "seg", "ter", "qua", "qui", "sex", "sáb"],
};
