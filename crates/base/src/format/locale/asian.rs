//! Japan, China and Korea.

use super::Locale;

pub(super) static JA: Locale = Locale {
    decimal: ".",
    group: ",",
    group_digits: 3,
    currency: "\\¥#,##0;-\\¥#,##0",
    date_separator: "/",
    short_date: "yyyy/mm/dd",
    long_date: "yyyy\"年\"m\"月\"d\"日\"",
    long_time: "h:nn:ss",
    halves: ["午前", "午後"],
    months: ["1月", "2月", "3月", "4月", "5月", "6月", "7月", "8月", "9月", "10月", "11月", "12月"],
    months_of_day: None,
    short_months: ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"],
    days: ["日曜日", "月曜日", "火曜日", "水曜日", "木曜日", "金曜日", "土曜日"],
    short_days: ["日", "月", "火", "水", "木", "金", "土"],
};

pub(super) static ZH: Locale = CHINESE;

const CHINESE: Locale = Locale {
    decimal: ".",
    group: ",",
    group_digits: 3,
    currency: "\\¥#,##0.00;\\¥-#,##0.00",
    date_separator: "/",
    short_date: "yyyy/m/d",
    long_date: "yyyy\"年\"m\"月\"d\"日\"",
    long_time: "h:nn:ss",
    halves: ["上午", "下午"],
    months: [
        "一月",
        "二月",
        "三月",
        "四月",
        "五月",
        "六月",
        "七月",
        "八月",
        "九月",
        "十月",
        "十一月",
        "十二月",
    ],
    months_of_day: None,
    short_months: [
        "1月", "2月", "3月", "4月", "5月", "6月", "7月", "8月", "9月", "10月", "11月", "12月",
    ],
    days: ["星期日", "星期一", "星期二", "星期三", "星期四", "星期五", "星期六"],
    short_days: ["周日", "周一", "周二", "周三", "周四", "周五", "周六"],
};

pub(super) static ZH_TW: Locale = Locale {
    currency: "\"NT$\"#,##0.00;-\"NT$\"#,##0.00",
    long_time: "AMPM hh:nn:ss",
    short_days: ["週日", "週一", "週二", "週三", "週四", "週五", "週六"],
    ..CHINESE
};

pub(super) static KO: Locale = Locale {
    decimal: ".",
    group: ",",
    group_digits: 3,
    currency: "\\₩#,##0;-\\₩#,##0",
    date_separator: "-",
    short_date: "yyyy/mm/dd",
    long_date: "yyyy\"년\" m\"월\" d\"일\" dddd",
    long_time: "AMPM h:nn:ss",
    halves: ["오전", "오후"],
    months: ["1월", "2월", "3월", "4월", "5월", "6월", "7월", "8월", "9월", "10월", "11월", "12월"],
    months_of_day: None,
    short_months: ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"],
    days: ["일요일", "월요일", "화요일", "수요일", "목요일", "금요일", "토요일"],
    short_days: ["일", "월", "화", "수", "목", "금", "토"],
};
