//! Hydration entry point of the user web.
fn main() {}
