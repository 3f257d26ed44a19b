//! Components over the classes of `style/components`.

mod area;
mod code;
mod menu;
mod pill;
mod range;
mod states;
mod toast;

pub use area::area_text;
pub use code::{Code, CopyButton};
pub use menu::Menu;
pub use pill::{Tone, level_tag, pill};
pub use range::RangePicker;
pub use states::{ErrorState, Notice, empty, skeleton, tall_skeleton};
pub use toast::{Toaster, Toasts, provide_toasts, use_toasts};
