//! Random calculation groups: items that use the measure, other items of the group, and those of the
//! other group.

use super::chance::Chance;

/// A calculation group; its table has the column `Item`.
#[derive(Clone)]
pub struct Group {
    pub name: &'static str,
    precedence: usize,
    /// Names and expressions.
    items: Vec<(&'static str, String)>,
    /// What stands for no selection, and for several.
    none: Option<&'static str>,
    many: Option<String>,
}

/// None, one or two groups.
pub fn groups(chance: &mut Chance) -> Vec<Group> {
    if !chance.percent(30) {
        return Vec::new();
    }
    let names = ["G0", "G1"];
    let n = 1 + chance.below(2);
    let group = |(name, other): (&'static str, &'static str)| {
        let mut items = vec![
            ("double", "2 * SELECTEDMEASURE ( )".to_owned()),
            ("next", "SELECTEDMEASURE ( ) + 1".to_owned()),
        ];
        let mut perhaps = |name, expression| {
            if chance.percent(60) {
                items.push((name, expression));
            }
        };
        perhaps("aside", format!("CALCULATE ( SELECTEDMEASURE ( ), {name}[Item] = \"double\" )"));
        perhaps(
            "twice aside",
            format!("SELECTEDMEASURE ( ) + CALCULATE ( [D0 sum], {name}[Item] = \"next\" )"),
        );
        perhaps("narrow", "CALCULATE ( SELECTEDMEASURE ( ), D0[Number] > 1 )".to_owned());
        perhaps("all", "CALCULATE ( SELECTEDMEASURE ( ), ALL ( D0 ) )".to_owned());
        perhaps("each", "SUMX ( VALUES ( D0[Text] ), SELECTEDMEASURE ( ) )".to_owned());
        perhaps("one", "IF ( ISSELECTEDMEASURE ( [D0 sum] ), 0, SELECTEDMEASURE ( ) )".to_owned());
        if n == 2 {
            perhaps(
                "across",
                format!("CALCULATE ( SELECTEDMEASURE ( ), {other}[Item] = \"next\" )"),
            );
            perhaps("without", format!("CALCULATE ( SELECTEDMEASURE ( ), ALL ( {other} ) )"));
        }
        let count = format!("SELECTEDMEASURE ( ) + COUNTROWS ( VALUES ( {name}[Item] ) )");
        let many = ["-1 * SELECTEDMEASURE ( )", "SELECTEDMEASURE ( ) * 100", &*count];
        Group {
            name,
            items,
            precedence: chance.below(100),
            none: chance.percent(20).then_some("SELECTEDMEASURE ( ) + 1000"),
            many: chance.percent(40).then(|| (*chance.pick(&many)).to_owned()),
        }
    };
    let mut made: Vec<Group> = [(names[0], names[1]), (names[1], names[0])].map(group).into();
    made.truncate(n);
    // Which of two equals goes first is not said.
    if let [first, second] = made.as_mut_slice() {
        second.precedence = first.precedence + if second.precedence < 50 { 1 } else { 200 };
        if chance.percent(50) {
            std::mem::swap(&mut first.precedence, &mut second.precedence);
        }
    }
    made
}

impl Group {
    /// A condition that selects one item, several or none.
    pub fn selection(&self, chance: &mut Chance) -> String {
        let column = format!("{}[Item]", self.name);
        let item = |chance: &mut Chance| chance.pick(&self.items).0;
        match chance.below(8) {
            0 => format!("{column} = \"nothing\""),
            1 => format!("{column} IN {{ \"{}\", \"{}\" }}", item(chance), item(chance)),
            2 => format!("TREATAS ( {{ \"{}\" }}, {column} )", item(chance)),
            3 => format!("ALL ( {} )", self.name),
            _ => format!("{column} = \"{}\"", item(chance)),
        }
    }

    /// The group's table in the model's definition.
    pub fn json(&self) -> String {
        let quoted = |text: &str| text.replace('"', "\\\"");
        let items: Vec<String> = self
            .items
            .iter()
            .map(|(name, e)| format!(r#"{{"name":"{name}","expression":"{}"}}"#, quoted(e)))
            .collect();
        let selection = |name: &str, e: Option<&str>| {
            e.map_or_else(String::new, |e| format!(r#","{name}":{{"expression":"{e}"}}"#))
        };
        format!(
            r#"{{"name":"{}","calculationGroup":{{"precedence":{},"calculationItems":[{}]{}{}}},"columns":[{{"name":"Item","dataType":"string","sourceColumn":"Name"}}],"partitions":[{{"name":"p","source":{{"type":"calculationGroup"}}}}]}}"#,
            self.name,
            self.precedence,
            items.join(","),
            selection("noSelectionExpression", self.none),
            selection("multipleOrEmptySelectionExpression", self.many.as_deref()),
        )
    }
}
