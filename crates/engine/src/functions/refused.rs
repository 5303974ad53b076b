//! Functions that are known by name and refused, each with the reason and what to do instead.

use super::FunctionKind::Refused;
use super::ReturnType::{Table, Variant};
use super::{Family, FunctionKind, Row};

const VISUAL: FunctionKind = Refused(
    "it belongs to visual calculations, which exist inside of a report's visual only; in queries and measures use the window functions INDEX, OFFSET, WINDOW, RANK and ROWNUMBER",
);
const CALENDAR: FunctionKind = Refused(
    "it works on calendars of a model (compatibility level 1701 and above) only, which this server does not know; filter the week's dates with DATESBETWEEN or DATESINPERIOD",
);
const INTERNAL: FunctionKind = Refused(
    "it is meant for expressions that Analysis Services builds for itself; use SUMMARIZECOLUMNS with filter tables",
);

pub(crate) const FAMILIES: &[Family] = &[
    Family("Visual calculation", VISUAL_ROWS),
    Family("Time intelligence", WEEKS),
    Family("Other", OTHER),
];

const VISUAL_ROWS: &[Row] = &[
    Row(
        "COLLAPSE",
        "Expression,[Axis]...",
        "A value one or more levels up an axis.",
        Variant,
        VISUAL,
    ),
    Row("COLLAPSEALL", "Expression,Axis", "A value at the top of an axis.", Variant, VISUAL),
    Row(
        "EXPAND",
        "Expression,[Axis]...",
        "A value one or more levels down an axis.",
        Variant,
        VISUAL,
    ),
    Row("EXPANDALL", "Expression,Axis", "A value at the bottom of an axis.", Variant, VISUAL),
    Row("FIRST", "Column,[Axis]...", "The value in the first row of an axis.", Variant, VISUAL),
    Row("LAST", "Column,[Axis]...", "The value in the last row of an axis.", Variant, VISUAL),
    Row("NEXT", "Column,[Steps]...", "The value some rows on.", Variant, VISUAL),
    Row("PREVIOUS", "Column,[Steps]...", "The value some rows back.", Variant, VISUAL),
    Row("ISATLEVEL", "Column", "Whether a column is at the current level.", Variant, VISUAL),
    Row(
        "LOOKUP",
        "Expression,Column...,Value...",
        "A value of the visual where columns have values.",
        Variant,
        VISUAL,
    ),
    Row(
        "LOOKUPWITHTOTALS",
        "Expression,Column...,Value...",
        "As LOOKUP, with totals for columns left out.",
        Variant,
        VISUAL,
    ),
    Row(
        "MOVINGAVERAGE",
        "Column,WindowSize,[Axis]...",
        "The average over a sliding window.",
        Variant,
        VISUAL,
    ),
    Row("RANGE", "Step,[Axis]...", "The rows of a range around the current one.", Table, VISUAL),
    Row("RUNNINGSUM", "Column,[Axis]...", "The sum up to the current row.", Variant, VISUAL),
];

const WEEKS: &[Row] = &[
    Row(
        "CLOSINGBALANCEWEEK",
        "a:Expression,a:Calendar,[a:Filter]",
        "Value at the last date of the week.",
        Variant,
        CALENDAR,
    ),
    Row("DATESWTD", "a:Calendar", "The dates from the start of the week on.", Table, CALENDAR),
    Row("ENDOFWEEK", "a:Calendar", "The last date of the week.", Table, CALENDAR),
    Row("NEXTWEEK", "a:Calendar", "The dates of the next week.", Table, CALENDAR),
    Row(
        "OPENINGBALANCEWEEK",
        "a:Expression,a:Calendar,[a:Filter]",
        "Value at the end of the week before.",
        Variant,
        CALENDAR,
    ),
    Row("PREVIOUSWEEK", "a:Calendar", "The dates of the week before.", Table, CALENDAR),
    Row("STARTOFWEEK", "a:Calendar", "The first date of the week.", Table, CALENDAR),
    Row(
        "TOTALWTD",
        "a:Expression,a:Calendar,[a:Filter]",
        "Value from the start of the week on.",
        Variant,
        CALENDAR,
    ),
];

const OTHER: &[Row] = &[
    Row("ALLSELECTEDAPPLY", "t:Table", "Internal to queries of clients.", Table, INTERNAL),
    Row(
        "ALLSELECTEDREMOVE",
        "t:Table,[c:ColumnName]...",
        "Internal to queries of clients.",
        Table,
        INTERNAL,
    ),
    Row("ALWAYSAPPLY", "t:Table", "Internal to queries of clients.", Table, INTERNAL),
    Row("FILTERCLUSTER", "[a:Argument]...", "Internal to queries of clients.", Table, INTERNAL),
    Row("GROUPCROSSAPPLY", "[a:Argument]...", "Internal to queries of clients.", Table, INTERNAL),
    Row(
        "GROUPCROSSAPPLYTABLE",
        "[a:Argument]...",
        "Internal to queries of clients.",
        Table,
        INTERNAL,
    ),
    Row("SHADOWCLUSTER", "t:Table", "Internal to queries of clients.", Table, INTERNAL),
    Row(
        "EXTERNALMEASURE",
        "MeasureName,DataType,Connection",
        "A measure of another model.",
        Variant,
        Refused(
            "measures of other models are not reached from here; define the measure in this model",
        ),
    ),
    Row(
        "SAMPLECARTESIANPOINTSBYCOVER",
        "Size,t:Table,XAxis,YAxis,[Radius],[MaxMinRatio],[MaxBlankRatio]",
        "Points of a scatter that cover it.",
        Table,
        Refused("which points it picks is not documented; use SAMPLE or TOPN to limit the rows"),
    ),
];
