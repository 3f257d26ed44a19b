//! Texts of the shared components.

use domain::Lang;

crate::texts! {
    pub(crate) struct T;
    copy => "복사", "Copy";
    copied => "복사됨", "Copied";
    undo => "되돌리기", "Undo";
    request_id => "요청 번호", "Request ID";
    try_again => "다시 시도", "Try again";
    loading => "불러오는 중", "Loading";
    range => "시간 범위", "Time range";
    range_from => "시작", "From";
    range_to => "끝", "To";
    range_apply => "적용", "Apply";
    range_hint(zone: &str) => "{zone} 기준 시각", "Times in {zone}";
    chart_table => "표로 보기", "Show as a table";
    time => "시각", "Time";
    total => "합계", "Total";
    none => "수준 없음", "no level";
    chart_keys => "왼쪽·오른쪽 화살표로 막대를 옮기고, Shift와 함께 누르면 범위를 고르며, Enter로 적용합니다", "Left and right arrows move between bars, with Shift they select a range, Enter applies it";
    bar(time: &str, count: &str) => "{time}, {count}건", "{time}, {count} events";
    picked(from: &str, to: &str) => "{from}부터 {to}까지 선택됨", "{from} to {to} selected";
    today => "오늘", "Today";
    yesterday => "어제", "Yesterday";
}

/// A text of this catalogue that follows the language.
pub(crate) fn t(text: fn(T) -> &'static str) -> impl Fn() -> &'static str + Copy + Send + Sync + 'static {
    crate::i18n::reactive(text)
}

/// The catalogue in the language in use; reactive.
pub(crate) fn texts() -> T {
    let lang: Lang = leptos::prelude::Get::get(&crate::use_locale().lang);
    T(lang)
}
