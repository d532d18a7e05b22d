//! The list of rules holds every rule: one that nobody runs demands nothing.

use std::fs;
use std::path::Path;

#[test]
fn each_rule_is_in_the_list() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/conformance");
    let list = fs::read_to_string(folder.join("suite.rs")).unwrap();
    let mut rules = 0;
    for file in fs::read_dir(folder.join("rules")).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        for line in text
            .lines()
            .filter(|line| line.starts_with("pub async fn "))
        {
            let rule = line["pub async fn ".len()..].split('<').next().unwrap();
            assert!(list.contains(&format!(" {rule},")), "{rule} is in no list");
            rules += 1;
        }
    }
    assert!(rules > 100, "{rules} rules");
}
