//! Western Europe and the countries that speak its languages.

use super::Locale;

pub(super) static DE: Locale = GERMAN;

const GERMAN: Locale = Locale {
    decimal: ",",
    group: ".",
    group_digits: 3,
    currency: "#,##0.00 \\€;-#,##0.00 \\€",
    date_separator: ".",
    short_date: "dd/mm/yyyy",
    long_date: "dddd, d\\. mmmm yyyy",
    long_time: "hh:nn:ss",
    halves: ["", ""],
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
    months_of_day: None,
    short_months: [
        "Jan", "Feb", "Mrz", "Apr", "Mai", "Jun", "Jul", "Aug", "Sep", "Okt", "Nov", "Dez",
    ],
    days: ["Sonntag", "Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag"],
    short_days: ["So", "Mo", "Di", "Mi", "Do", "Fr", "Sa"],
};

pub(super) static FR: Locale = FRENCH;

const FRENCH: Locale = Locale {
    decimal: ",",
    group: "\u{a0}",
    group_digits: 3,
    currency: "#,##0.00 \\€;-#,##0.00 \\€",
    date_separator: "/",
    short_date: "dd/mm/yyyy",
    long_date: "dddd d mmmm yyyy",
    long_time: "hh:nn:ss",
    halves: ["", ""],
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
    months_of_day: None,
    short_months: [
        "janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.",
        "déc.",
    ],
    days: ["dimanche", "lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi"],
    short_days: ["dim.", "lun.", "mar.", "mer.", "jeu.", "ven.", "sam."],
};

pub(super) static ES: Locale = SPANISH;

const SPANISH: Locale = Locale {
    decimal: ",",
    group: ".",
    group_digits: 3,
    currency: "#,##0.00 \\€;-#,##0.00 \\€",
    date_separator: "/",
    short_date: "dd/mm/yyyy",
    long_date: "dddd, d \"de\" mmmm \"de\" yyyy",
    long_time: "h:nn:ss",
    halves: ["", ""],
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
    months_of_day: None,
    short_months: [
        "ene.", "feb.", "mar.", "abr.", "may.", "jun.", "jul.", "ago.", "sep.", "oct.", "nov.",
        "dic.",
    ],
    days: ["domingo", "lunes", "martes", "miércoles", "jueves", "viernes", "sábado"],
    short_days: ["do.", "lu.", "ma.", "mi.", "ju.", "vi.", "sá."],
};

pub(super) static IT: Locale = Locale {
    decimal: ",",
    group: ".",
    group_digits: 3,
    currency: "#,##0.00 \\€;-#,##0.00 \\€",
    date_separator: "/",
    short_date: "dd/mm/yyyy",
    long_date: "dddd d mmmm yyyy",
    long_time: "hh:nn:ss",
    halves: ["", ""],
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
    months_of_day: None,
    short_months: [
        "gen", "feb", "mar", "apr", "mag", "giu", "lug", "ago", "set", "ott", "nov", "dic",
    ],
    days: ["domenica", "lunedì", "martedì", "mercoledì", "giovedì", "venerdì", "sabato"],
    short_days: ["dom", "lun", "mar", "mer", "gio", "ven", "sab"],
};

pub(super) static NL: Locale = DUTCH;

const DUTCH: Locale = Locale {
    decimal: ",",
    group: ".",
    group_digits: 3,
    currency: "\\€ #,##0.00;\\€ -#,##0.00",
    date_separator: "-",
    short_date: "d/m/yyyy",
    long_date: "dddd d mmmm yyyy",
    long_time: "hh:nn:ss",
    halves: ["", ""],
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
    months_of_day: None,
    short_months: [
        "jan", "feb", "mrt", "apr", "mei", "jun", "jul", "aug", "sep", "okt", "nov", "dec",
    ],
    days: ["zondag", "maandag", "dinsdag", "woensdag", "donderdag", "vrijdag", "zaterdag"],
    short_days: ["zo", "ma", "di", "wo", "do", "vr", "za"],
};

pub(super) static PT: Locale = PORTUGUESE;

const PORTUGUESE: Locale = Locale {
    decimal: ",",
    group: ".",
    group_digits: 3,
    currency: "\"R$\" #,##0.00;-\"R$\" #,##0.00",
    date_separator: "/",
    short_date: "dd/mm/yyyy",
    long_date: "dddd, d \"de\" mmmm \"de\" yyyy",
    long_time: "hh:nn:ss",
    halves: ["", ""],
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
    months_of_day: None,
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

pub(super) static DE_AT: Locale = Locale {
    currency: "\\€ #,##0.00;-\\€ #,##0.00",
    months: [
        "Jänner",
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
        "Jän", "Feb", "Mär", "Apr", "Mai", "Jun", "Jul", "Aug", "Sep", "Okt", "Nov", "Dez",
    ],
    ..GERMAN
};

pub(super) static DE_CH: Locale =
    Locale { decimal: ".", group: "’", currency: "\"CHF\" #,##0.00;\"CHF\"-#,##0.00", ..GERMAN };

pub(super) static FR_CA: Locale = Locale {
    currency: "#,##0.00 \\$;-#,##0.00 \\$",
    date_separator: "-",
    short_date: "yyyy/mm/dd",
    long_date: "d mmmm yyyy",
    ..FRENCH
};

pub(super) static FR_CH: Locale = Locale {
    currency: "#,##0.00 \"CHF\";-#,##0.00 \"CHF\"",
    date_separator: ".",
    long_date: "dddd, d mmmm yyyy",
    ..FRENCH
};

pub(super) static ES_MX: Locale = Locale {
    decimal: ".",
    group: ",",
    currency: "\\$#,##0.00;-\\$#,##0.00",
    long_time: "hh:nn:ss AMPM",
    halves: ["a. m.", "p. m."],
    ..SPANISH
};

pub(super) static PT_PT: Locale = Locale {
    group: "\u{a0}",
    currency: "#,##0.00 \\€;-#,##0.00 \\€",
    long_date: "d \"de\" mmmm \"de\" yyyy",
    ..PORTUGUESE
};

pub(super) static NL_BE: Locale = Locale { date_separator: "/", ..DUTCH };
