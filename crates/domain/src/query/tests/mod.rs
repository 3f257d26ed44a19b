mod complete;
mod edit;
mod matcher;
mod parser;
mod properties;
