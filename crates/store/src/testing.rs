//! What tests need from outside: a named variable, or the test says that it is skipped.

use std::io::Write;

/// The value of `variable`, which a test needs to run at all. Where it is unset, one line on standard error says so past
/// the test harness's capture, `cargo xtask test` counts it as skipped, and the test returns at once.
pub fn wanted(variable: &str, what: &str) -> Option<String> {
    let value = std::env::var(variable).ok().filter(|value| !value.is_empty());
    if value.is_none() {
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("a test");
        // A macro would be captured with the output of a test that passes.
        let _ = writeln!(std::io::stderr(), "\nskipped: {test} wants {variable}: {what}");
    }
    value
}
