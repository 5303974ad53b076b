//! The demonstration's data: three years of a retailer's sales, the same on every machine.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray};
use evercube_base::{DateTime, Error, ErrorKind, Result};
use parquet::arrow::ArrowWriter;

/// The model over the data; its parameter `DataFolder` says where the files are.
pub const MODEL: &str = include_str!("retail.bim");
pub const YEARS: [i32; 3] = [2022, 2023, 2024];

const STORES: usize = 48;
const PRODUCTS: usize = 400;
const CUSTOMERS: usize = 20_000;
const BATCH: usize = 65_536;
const CITIES: [(&str, &str); 12] = [
    ("Bergen", "Norway"),
    ("Oslo", "Norway"),
    ("Trondheim", "Norway"),
    ("Gothenburg", "Sweden"),
    ("Malmö", "Sweden"),
    ("Stockholm", "Sweden"),
    ("Aarhus", "Denmark"),
    ("Copenhagen", "Denmark"),
    ("Helsinki", "Finland"),
    ("Tampere", "Finland"),
    ("Hamburg", "Germany"),
    ("Munich", "Germany"),
];
const CATEGORIES: [&str; 8] =
    ["Bikes", "Camping", "Climbing", "Clothing", "Footwear", "Running", "Skiing", "Water"];
const BRANDS: [&str; 6] = ["Alva", "Brage", "Dovre", "Fjell", "Lyn", "Nord"];
const SEGMENTS: [&str; 4] = ["Club", "Online", "Store", "Wholesale"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A repeatable sequence of numbers (splitmix64).
struct Sequence(u64);

impl Sequence {
    /// A number below `limit`.
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit.max(1) as u64) as usize
    }

    /// Smaller numbers come more often.
    fn skewed(&mut self, limit: usize) -> usize {
        self.below(limit).min(self.below(limit))
    }
}

/// Days from 1970 to the first of January of a year.
fn first_day(year: i32) -> i32 {
    let midnight = DateTime::from_ymd(year, 1, 1).unwrap_or_default();
    (midnight.unix_micros() / 86_400_000_000) as i32
}

/// Writes the model's files into `folder`; `rows` of sales over the three years.
pub fn write(folder: &Path, rows: usize) -> Result<()> {
    table(&folder.join("date.parquet"), dates())?;
    table(&folder.join("store.parquet"), stores())?;
    table(&folder.join("product.parquet"), products())?;
    table(&folder.join("customer.parquet"), customers())?;
    for (i, year) in YEARS.into_iter().enumerate() {
        // The business grows.
        let share = rows * (9 + i) / 30;
        sales(&folder.join(format!("sales-{year}.parquet")), year, share)?;
    }
    let model = folder.join("retail.bim");
    std::fs::write(&model, MODEL).map_err(|e| unwritten(&model, e))
}

fn unwritten(file: &Path, e: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Source, format!("cannot write {}: {e}", file.display()))
}

type Columns = Vec<(&'static str, ArrayRef)>;

fn texts(values: impl Iterator<Item = String>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn keys(count: usize) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(1..=count as i64))
}

fn table(file: &Path, columns: Columns) -> Result<()> {
    batches(file, std::iter::once(columns))
}

fn batches(file: &Path, parts: impl Iterator<Item = Columns>) -> Result<()> {
    let mut writer: Option<ArrowWriter<std::fs::File>> = None;
    for part in parts {
        let batch = RecordBatch::try_from_iter(part).map_err(|e| unwritten(file, e))?;
        let open = match &mut writer {
            Some(open) => open,
            None => {
                let created = std::fs::File::create(file).map_err(|e| unwritten(file, e))?;
                let opened = ArrowWriter::try_new(created, batch.schema(), None);
                writer.insert(opened.map_err(|e| unwritten(file, e))?)
            }
        };
        open.write(&batch).map_err(|e| unwritten(file, e))?;
    }
    if let Some(writer) = writer {
        writer.close().map_err(|e| unwritten(file, e))?;
    }
    Ok(())
}

fn dates() -> Columns {
    let (mut days, mut years, mut months, mut numbers, mut quarters) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for year in YEARS {
        for day in first_day(year)..first_day(year + 1) {
            let at =
                DateTime::from_unix_micros(i64::from(day) * 86_400_000_000).unwrap_or_default();
            let month = at.to_string().get(5..7).and_then(|m| m.parse().ok()).unwrap_or(1_usize);
            days.push(day);
            years.push(i64::from(year));
            numbers.push(month as i64);
            months.push(MONTHS.get(month - 1).copied().unwrap_or_default().to_owned());
            quarters.push(format!("Q{}", month.div_ceil(3)));
        }
    }
    vec![
        ("Date", Arc::new(Date32Array::from(days))),
        ("Year", Arc::new(Int64Array::from(years))),
        ("Quarter", texts(quarters.into_iter())),
        ("Month", texts(months.into_iter())),
        ("Month Number", Arc::new(Int64Array::from(numbers))),
    ]
}

fn stores() -> Columns {
    let of = |i: usize| CITIES[i % CITIES.len()];
    vec![
        ("StoreKey", keys(STORES)),
        ("Store", texts((0..STORES).map(|i| format!("{} {}", of(i).0, i / CITIES.len() + 1)))),
        ("City", texts((0..STORES).map(|i| of(i).0.to_owned()))),
        ("Country", texts((0..STORES).map(|i| of(i).1.to_owned()))),
    ]
}

fn category(product: usize) -> &'static str {
    CATEGORIES[product % CATEGORIES.len()]
}

fn brand(product: usize) -> &'static str {
    BRANDS[product % BRANDS.len()]
}

fn products() -> Columns {
    let name = |i| format!("{} {} {:03}", brand(i), category(i), i + 1);
    vec![
        ("ProductKey", keys(PRODUCTS)),
        ("Product", texts((0..PRODUCTS).map(name))),
        ("Category", texts((0..PRODUCTS).map(|i| category(i).to_owned()))),
        ("Brand", texts((0..PRODUCTS).map(|i| brand(i).to_owned()))),
    ]
}

fn customers() -> Columns {
    let segment = |i: usize| SEGMENTS[i % SEGMENTS.len()].to_owned();
    vec![
        ("CustomerKey", keys(CUSTOMERS)),
        ("Customer", texts((0..CUSTOMERS).map(|i| format!("Customer {:05}", i + 1)))),
        ("Segment", texts((0..CUSTOMERS).map(segment))),
    ]
}

/// Price of a product in ten-thousandths.
fn price(product: usize) -> i128 {
    (19 + (product * 37 % 480) as i128) * 10_000 + 9_500
}

fn sales(file: &Path, year: i32, rows: usize) -> Result<()> {
    let (first, end) = (first_day(year), first_day(year + 1));
    let mut random = Sequence(year.unsigned_abs().into());
    let parts = (0..rows).step_by(BATCH).map(|from| {
        let n = BATCH.min(rows - from);
        let mut days = Vec::with_capacity(n);
        let (mut store, mut product, mut customer, mut quantity) =
            (Vec::with_capacity(n), Vec::with_capacity(n), Vec::with_capacity(n), Vec::new());
        let (mut prices, mut costs) = (Vec::with_capacity(n), Vec::with_capacity(n));
        for row in from..from + n {
            // Rows come in the order of their days, as from a source that appends.
            days.push(first + (row * (end - first) as usize / rows) as i32);
            store.push(random.skewed(STORES) as i64 + 1);
            let sold = random.skewed(PRODUCTS);
            product.push(sold as i64 + 1);
            customer.push(random.skewed(CUSTOMERS) as i64 + 1);
            quantity.push(random.skewed(6) as i64 + 1);
            let asked = price(sold) * (100 - 5 * random.below(4) as i128) / 100;
            prices.push(asked);
            costs.push(price(sold) * (52 + (sold % 20) as i128) / 100);
        }
        vec![
            ("Date", Arc::new(Date32Array::from(days)) as ArrayRef),
            ("StoreKey", Arc::new(Int64Array::from(store))),
            ("ProductKey", Arc::new(Int64Array::from(product))),
            ("CustomerKey", Arc::new(Int64Array::from(customer))),
            ("Quantity", Arc::new(Int64Array::from(quantity))),
            ("Unit Price", money(prices)),
            ("Unit Cost", money(costs)),
        ]
    });
    batches(file, parts)
}

/// Fixed decimals with four digits, at the precision a fixed decimal number has.
fn money(values: Vec<i128>) -> ArrayRef {
    let array = Decimal128Array::from(values);
    match array.clone().with_precision_and_scale(19, 4) {
        Ok(scaled) => Arc::new(scaled),
        Err(_) => Arc::new(array),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_the_same_each_time() {
        let write_one = || {
            let folder = tempfile::tempdir().unwrap();
            write(folder.path(), 3_000).unwrap();
            std::fs::read(folder.path().join("sales-2023.parquet")).unwrap()
        };
        assert_eq!(write_one(), write_one());
    }
}
