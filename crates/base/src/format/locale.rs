//! Separators, names and usual pictures of the supported locales.

mod asian;
mod eastern;
mod northern;
mod western;

/// How a place writes numbers and dates.
#[derive(Debug)]
pub struct Locale {
    pub decimal: &'static str,
    pub group: &'static str,
    /// Digits of the groups beyond the first, which has three: two in India.
    pub group_digits: i32,
    /// Picture of the predefined name `Currency`.
    pub currency: &'static str,
    pub date_separator: &'static str,
    pub short_date: &'static str,
    pub long_date: &'static str,
    pub long_time: &'static str,
    /// Before and after noon, for `AMPM`.
    pub halves: [&'static str; 2],
    /// January first.
    pub months: [&'static str; 12],
    /// The same beside a day, where the language says them otherwise.
    pub months_of_day: Option<[&'static str; 12]>,
    pub short_months: [&'static str; 12],
    /// Sunday first.
    pub days: [&'static str; 7],
    pub short_days: [&'static str; 7],
}

/// The order of day, month and year in a date written in figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateOrder {
    MonthDayYear,
    DayMonthYear,
    YearMonthDay,
}

impl Locale {
    pub const UNITED_STATES: &'static Self = &EN;

    /// The locale of a name such as `de-DE`: the region's, else the language's; the United States where
    /// the language is not known.
    pub fn named(name: &str) -> &'static Self {
        let lower = name.to_ascii_lowercase().replace('_', "-");
        match lower.as_str() {
            "en-gb" => &GB,
            "en-au" => &AU,
            "en-ca" => &CA,
            "en-in" => &IN,
            "en-ie" => &IE,
            "en-nz" => &NZ,
            "en-za" => &ZA,
            "de-at" => &western::DE_AT,
            "de-ch" => &western::DE_CH,
            "fr-ca" => &western::FR_CA,
            "fr-ch" => &western::FR_CH,
            "es-mx" => &western::ES_MX,
            "pt-pt" => &western::PT_PT,
            "nl-be" => &western::NL_BE,
            "zh-tw" | "zh-hk" | "zh-hant" => &asian::ZH_TW,
            _ => language(lower.split('-').next().unwrap_or("")),
        }
    }

    /// What stands beside an amount: what its picture quotes or escapes.
    pub fn currency_symbol(&self) -> &'static str {
        let positive = self.currency.split(';').next().unwrap_or("");
        let quoted = positive.split('"').nth(1);
        quoted.unwrap_or_else(|| positive.trim_matches(|c| "#0,. \\".contains(c)))
    }

    /// The months as they are said beside a day.
    pub fn months_beside_days(&self) -> &[&'static str; 12] {
        self.months_of_day.as_ref().unwrap_or(&self.months)
    }

    pub fn date_order(&self) -> DateOrder {
        match self.short_date.chars().find(|c| "dmy".contains(*c)) {
            Some('y') => DateOrder::YearMonthDay,
            Some('d') => DateOrder::DayMonthYear,
            _ => DateOrder::MonthDayYear,
        }
    }
}

fn language(code: &str) -> &'static Locale {
    match code {
        "de" => &western::DE,
        "fr" => &western::FR,
        "es" => &western::ES,
        "it" => &western::IT,
        "nl" => &western::NL,
        "pt" => &western::PT,
        "sv" => &northern::SV,
        "da" => &northern::DA,
        "nb" | "no" | "nn" => &northern::NB,
        "fi" => &northern::FI,
        "pl" => &eastern::PL,
        "cs" => &eastern::CS,
        "hu" => &eastern::HU,
        "ru" => &eastern::RU,
        "tr" => &eastern::TR,
        "ja" => &asian::JA,
        "zh" => &asian::ZH,
        "ko" => &asian::KO,
        _ => &EN,
    }
}

static EN: Locale = EN_US;

const EN_US: Locale = Locale {
    decimal: ".",
    group: ",",
    group_digits: 3,
    currency: "\\$#,##0.00;(\\$#,##0.00)",
    date_separator: "/",
    short_date: "m/d/yyyy",
    long_date: "dddd, mmmm d, yyyy",
    long_time: "h:nn:ss AM/PM",
    halves: ["AM", "PM"],
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
    months_of_day: None,
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

static AU: Locale = AUSTRALIAN;
static NZ: Locale = AUSTRALIAN;

const AUSTRALIAN: Locale = Locale {
    currency: "\\$#,##0.00;-\\$#,##0.00",
    short_date: "d/mm/yyyy",
    long_date: "dddd, d mmmm yyyy",
    ..EN_US
};

static CA: Locale = Locale {
    currency: "\\$#,##0.00;-\\$#,##0.00",
    date_separator: "-",
    short_date: "yyyy/mm/dd",
    long_date: "mmmm d, yyyy",
    ..EN_US
};

static IN: Locale = Locale {
    group_digits: 2,
    currency: "\\₹ #,##0.00;-\\₹ #,##0.00",
    date_separator: "-",
    short_date: "dd/mm/yyyy",
    long_date: "dd mmmm yyyy",
    long_time: "hh:nn:ss",
    ..EN_US
};

static IE: Locale = Locale {
    currency: "\\€#,##0.00;-\\€#,##0.00",
    short_date: "dd/mm/yyyy",
    long_date: "dddd d mmmm yyyy",
    long_time: "hh:nn:ss",
    ..EN_US
};

static ZA: Locale = Locale {
    decimal: ",",
    group: "\u{a0}",
    currency: "\"R\"#,##0.00;-\"R\"#,##0.00",
    short_date: "yyyy/mm/dd",
    long_date: "dd mmmm yyyy",
    long_time: "hh:nn:ss",
    ..EN_US
};
