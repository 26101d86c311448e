//! What compiles, and what the compiler says where a handler does not.

#[test]
fn handlers_that_are_right_compile_and_run() {
    trybuild::TestCases::new().pass("tests/ui/pass/*.rs");
}

#[test]
fn each_mistake_has_a_message_that_helps() {
    trybuild::TestCases::new().compile_fail("tests/ui/fail/*.rs");
}
