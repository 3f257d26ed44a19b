//! Charts: stacked bars by level and sparklines as SVG, lines by uPlot with an SVG until it is there.

mod bars;
mod line;
mod scale;
mod sparkline;

pub use bars::{Band, Legend, LevelBars};
pub use line::{LineChart, LineData};
pub use sparkline::{Fill, sparkline};
