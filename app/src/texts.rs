//! Every text of the user web, Korean and English.

ui::texts! {
    pub(crate) struct T;

    // Frame
    skip => "본문으로 건너뛰기", "Skip to content";
    main_menu => "주 메뉴", "Main menu";
    overview => "개요", "Overview";
    explore => "탐색", "Explore";
    sources => "소스", "Sources";
    connect => "연결하기", "Connect";
    settings => "설정", "Settings";
    fold => "메뉴 접기", "Collapse menu";
    tenant => "테넌트", "Tenant";
    search_label => "이벤트 검색", "Search events";
    search_hint => "이벤트 검색", "Search events";
    language => "언어", "Language";
    theme => "테마", "Theme";
    theme_system => "시스템", "System";
    theme_light => "밝게", "Light";
    theme_dark => "어둡게", "Dark";
    person_menu(name: &str) => "{name} 메뉴", "{name}: menu";
    profile => "프로필", "Profile";
    shortcuts => "단축키", "Keyboard shortcuts";
    sign_out => "로그아웃", "Sign out";
    close => "닫기", "Close";
    cancel => "취소", "Cancel";
    save => "저장", "Save";
    saved => "저장했습니다", "Saved";
    key_search => "검색", "Search";
    key_panel => "이 목록", "This list";
    key_rows => "다음 · 이전 행", "Next · previous row";
    key_open => "열기", "Open";
    key_close => "닫기", "Close";
    not_found => "페이지를 찾을 수 없습니다", "Page not found";
    not_found_body => "주소를 확인하거나 개요로 돌아가세요.", "Check the address, or go back to the overview.";

    // Sign-in
    sign_in => "로그인", "Sign in";
    email => "이메일", "E-mail";
    password => "비밀번호", "Password";
    plain_http => "이 연결에서는 로그인할 수 없습니다", "Sign-in is off on this connection";
    plain_http_body => "암호화되지 않은 http에서는 비밀번호를 훔쳐볼 수 있어 받지 않습니다. 다음 중 하나를 하세요.", "On unencrypted http a password can be read on the way, so none is taken. Do one of these:";
    plain_http_tls => "QGX_TLS_CERT와 QGX_TLS_KEY를 설정하고 https로 여세요.", "Set QGX_TLS_CERT and QGX_TLS_KEY, and open the site by https.";
    plain_http_proxy => "https를 처리하는 프록시를 앞에 두고 QGX_TRUSTED_PROXIES에 등록하세요.", "Put a proxy that speaks https in front, and name it in QGX_TRUSTED_PROXIES.";
    plain_http_local => "같은 컴퓨터라면 http://localhost로 여세요.", "On the same machine, open http://localhost.";

    // Overview
    live => "실시간", "Live";
    live_connecting => "연결 중", "Connecting";
    live_lost => "다시 연결 중", "Reconnecting";
    last_event(ago: &str) => "마지막 이벤트 {ago}", "Last event {ago}";
    nothing_yet => "아직 들어온 데이터가 없습니다", "No data yet";
    nothing_yet_body => "첫 소스를 연결하면 1초 안에 이 화면이 움직이기 시작합니다.", "Connect a first source: this page starts to move within a second.";
    connect_first => "첫 소스 연결하기", "Connect a first source";
    events_per_second => "초당 이벤트", "Events per second";
    last_ten_seconds => "최근 10초 평균", "Mean of the last 10 s";
    today => "오늘 수집", "Today";
    change(percent: &str) => "어제 같은 시각보다 {percent}", "{percent} against yesterday by now";
    sources_online => "온라인 소스", "Sources online";
    away(offline: &str, unseen: &str) => "오프라인 {offline} · 미확인 {unseen}", "{offline} offline · {unseen} never seen";
    freshness => "수집 → 검색 p99", "Arrival → searchable p99";
    freshness_note => "최근 1분 · 목표 1초 이내", "Last minute · goal within 1 s";
    inflow => "이벤트 유입", "Events coming in";
    inflow_sub => "1분 단위, 수준별", "By minute and level";
    inflow_label => "최근 한 시간의 분당 이벤트 수, 수준별", "Events a minute over the last hour, by level";
    busiest => "활동이 많은 순", "Busiest first";
    show_all => "모두 보기", "Show all";
    name => "이름", "Name";
    state => "상태", "State";
    events_s => "이벤트/s", "Events/s";
    last_hour => "최근 1시간", "Last hour";
    last_seen => "마지막 수신", "Last seen";
    online => "온라인", "Online";
    offline => "오프라인", "Offline";
    unseen => "미확인", "Never seen";
    no_sources => "소스가 없습니다", "No sources";
    no_sources_body => "데이터를 보낸 장비와 서버가 여기에 나타납니다.", "Whatever sends data shows up here.";
    notable => "눈에 띄는 이벤트", "Notable events";
    open_in_explore => "탐색에서 열기", "Open in Explore";
    no_notable => "경고가 없습니다", "No warnings";
    no_notable_body => "warn 이상의 이벤트가 들어오면 바로 보입니다.", "Events of level warn and above show up at once.";
}

/// A text that follows the language.
pub(crate) fn t(text: fn(T) -> &'static str) -> impl Fn() -> &'static str + Copy + Send + Sync + 'static {
    ui::i18n::reactive(text)
}

/// The catalogue in the language in use; reactive.
pub(crate) fn texts() -> T {
    T(leptos::prelude::Get::get(&ui::use_locale().lang))
}
