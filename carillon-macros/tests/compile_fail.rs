//! What the compiler says where a declaration is wrong: at the wrong word, in words that help.

#[test]
fn mistakes_are_told_when_they_are_compiled() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/compile_fail/*.rs");
}
