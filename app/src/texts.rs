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
    other_ways => "다른 방법으로 연결", "Connect in another way";
    fill_in_token => "토큰을 만들어 채우기", "Make a token and fill it in";
    first_name => "첫 토큰", "First token";
    first_token => "버튼을 누르면 토큰이 채워진 명령이 됩니다. 데이터를 보낼 컴퓨터의 터미널에 붙여 넣으세요.", "The button makes a token and fills it in. Paste the command into a terminal of the machine that is to send.";
    first_paste => "데이터를 보낼 컴퓨터의 터미널에 붙여 넣으세요. 토큰은 지금 한 번만 보입니다.", "Paste it into a terminal of the machine that is to send. The token is shown only now.";
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

    // Explore
    search => "검색", "Search";
    query => "검색식", "Query";
    query_hint => "예: level:error source:\"pump-1\" temperature>=80 응답 지연", "For example: level:error source:\"pump-1\" temperature>=80 timeout";
    completions => "자동 완성", "Completions";
    c_field => "필드", "field";
    c_value => "값", "value";
    c_operator => "연산자", "operator";
    c_keyword => "연결어", "keyword";
    at_character(n: &str) => "({n}번째 글자)", "(character {n})";
    hint => "참고", "Hint";
    hits(count: &str) => "{count}건", "{count} events";
    histogram_label(count: &str) => "시간별 이벤트 수, 모두 {count}건", "Events over time, {count} in all";
    facets => "필드별 값", "Values by field";
    facet_hint => "클릭하면 이 값만, Shift+클릭하면 이 값을 제외합니다", "Click to keep this value, Shift-click to exclude it";
    exclude_value(value: &str) => "{value} 제외", "Exclude {value}";
    keep_value(value: &str) => "{value}만 보기", "Only {value}";
    as_column(name: &str) => "{name}을(를) 열로", "{name} as a column";
    keep => "이 값만", "Only this";
    exclude => "제외", "Exclude";
    column => "열로 보기", "As a column";
    level => "수준", "Level";
    source => "소스", "Source";
    kind => "종류", "Kind";
    events => "이벤트", "Events";
    event => "이벤트", "Event";
    newest_first => "최신순", "Newest first";
    oldest_first => "오래된순", "Oldest first";
    turn_order => "순서 바꾸기", "Turn the order";
    columns => "열", "Columns";
    export => "내보내기", "Export";
    copy_link => "링크 복사", "Copy link";
    live_tail => "실시간", "Live tail";
    outside(count: &str, span: &str) => "방금 도착한 이벤트 {count}건은 이 시간 범위 밖에 있습니다 ({span}).", "{count} events that just arrived lie outside this window ({span}).";
    show_them => "그 범위 보기", "Show them";
    paused => "멈춤", "Paused";
    pause => "멈춤", "Pause";
    go_on => "계속", "Go on";
    waiting(count: &str) => "{count}건 대기", "{count} waiting";
    came_in(count: &str) => "{count}건 들어옴", "{count} came in";
    left_out(count: &str) => "{count}건은 너무 많아 생략", "{count} left out, too many at once";
    waiting_title => "새 이벤트를 기다립니다", "Waiting for events";
    waiting_body => "이 검색식에 맞는 이벤트가 들어오면 바로 나타납니다.", "Events that match show up the moment they arrive.";
    no_events => "맞는 이벤트가 없습니다", "No matching events";
    no_events_body => "시간 범위를 넓히거나 조건을 줄여 보세요.", "Widen the time range, or take a condition away.";
    more => "더 보기", "Show more";
    fields => "필드", "Fields";
    raw => "원문", "Raw";
    around => "앞뒤 5분", "± 5 minutes";
    raw_bytes => "받은 그대로", "As it came";
    raw_same => "저장된 내용과 같아서 원문을 따로 두지 않았습니다.", "The same as what is stored, so no original is kept.";
    around_note(source: &str) => "{source}에서 앞뒤 5분 동안 온 이벤트", "What {source} sent five minutes before and after";

    // Sources
    all => "모두", "All";
    order => "순서", "Order";
    by_name => "이름순", "By name";
    by_last_seen => "최근 수신순", "Latest first";
    search_sources => "소스 찾기", "Find a source";
    import => "CSV로 등록", "Import CSV";
    register => "소스 등록", "Register a source";
    register_note => "처음 보내기 전에 이름과 속성을 정해 둘 때 씁니다. 데이터를 보내면 소스는 저절로 생깁니다.", "For naming a source before it sends. A source that sends comes into being by itself.";
    key => "키", "Key";
    key_hint => "보내는 쪽이 쓰는 이름 그대로, 대소문자를 가립니다. 예: pump-1", "Exactly as the sender writes it; case matters. For example pump-1";
    name_optional => "이름 (선택)", "Name (optional)";
    kind_optional => "종류 (선택)", "Kind (optional)";
    import_note => "첫 줄은 열 이름입니다. key는 꼭 있어야 하고 name, kind, offline_after_secs를 알아보며, 나머지 열은 속성이 됩니다.", "The first line names the columns: key is needed; name, kind and offline_after_secs are known; every other column becomes an attribute.";
    csv_file => "CSV 파일", "CSV file";
    imported(created: &str, updated: &str) => "{created}개 등록, {updated}개 갱신", "{created} registered, {updated} updated";
    none_match => "맞는 소스가 없습니다", "No matching sources";
    none_match_body => "다른 이름으로 찾거나 조건을 지우세요.", "Try another name, or clear the filter.";
    total_events => "전체 이벤트", "Events in all";
    protocol => "프로토콜", "Protocol";
    sources_in_all(count: &str) => "모두 {count}개", "{count} in all";
    next_page => "다음", "Next";
    first_page => "처음으로", "First page";

    // A source
    no_such_source => "없는 소스입니다", "No such source";
    no_such_source_body => "키는 대소문자까지 같아야 합니다. 목록에서 찾아보세요.", "Keys are the same only to the letter. Look in the list.";
    path => "위치", "Path";
    how_to_connect => "연결 방법", "How to connect";
    elsewhere(span: &str) => "이 소스의 데이터는 지금 보는 시간 범위 밖에 있습니다 ({span}).", "This source's data lies outside the window shown ({span}).";
    latest_values => "최신 값", "Latest values";
    about => "정보", "About";
    first_seen => "처음 수신", "First seen";
    charts => "그래프로 볼 숫자", "Numbers to chart";
    chart_of(metric: &str) => "{metric} 추이", "{metric} over time";
    least(value: &str, at: &str) => "최소 {value} · {at}", "Least {value} · {at}";
    greatest(value: &str, at: &str) => "최대 {value} · {at}", "Greatest {value} · {at}";
    no_values => "이 범위에 값이 없습니다", "No values in this window";
    no_values_body => "시간 범위를 넓혀 보세요.", "Widen the time range.";
    no_source_events_body => "이 시간 범위에는 이 소스의 이벤트가 없습니다.", "This source sent nothing within the window.";
    edit => "이름과 속성", "Name and attributes";
    attributes => "속성", "Attributes";
    attributes_hint => "한 줄에 하나씩, 이름=값", "One a line: name=value";
    offline_after => "몇 초 동안 조용하면 오프라인인가", "Offline after this many seconds of silence";
    credential => "전용 토큰", "Its own tokens";
    no_bound_token => "이 소스에만 묶인 토큰이 없습니다.", "No token is bound to this source.";
    remove_source => "목록에서 빼기", "Take off the list";
    remove_source_note => "이름과 속성이 지워집니다. 이벤트는 남고, 다시 보내면 새로 나타납니다.", "Its name and attributes go. Its events stay, and it comes back when it sends again.";

    // Connect
    what_have_you => "무엇을 연결하나요?", "What do you have?";
    make_token => "토큰 만들기", "Make a token";
    token_why => "토큰은 누가 보냈는지 알려 줍니다. 소스마다 따로 만들면 하나씩 끊을 수 있습니다.", "A token says who is sending. One for each source lets you end them one by one.";
    token_name => "토큰 이름", "Token name";
    token_source => "소스에 묶기 (선택)", "Bind to a source (optional)";
    token_source_hint => "묶으면 이 토큰으로 온 것은 모두 이 소스가 됩니다.", "Whatever comes with this token then counts as this source.";
    token_once => "지금 한 번만 보입니다. 복사해 두세요.", "Shown only now: copy it.";
    token_not_allowed => "토큰을 만들 권한이 없습니다. 편집자나 소유자에게 부탁하세요.", "You may not make tokens: ask an editor or an owner.";
    token_first => "위에서 토큰을 만들면 여기에 채워집니다.", "Make a token above and it is filled in here.";
    configure => "설정 복사하기", "Copy the configuration";
    sends_to(place: &str) => "TCP {place}로 보냅니다.", "Sends to TCP {place}.";
    watch => "첫 이벤트 확인", "Watch for the first event";
    lamp_waiting => "기다리는 중", "Waiting";
    lamp_on(source: &str) => "{source}에서 들어왔습니다", "{source} is sending";
    lamp_refused => "거부된 연결이 있습니다", "A connection was refused";
    lamp_hint => "첫 이벤트가 들어오면 바로 초록불이 켜집니다.", "The light turns green the moment the first event arrives.";
    open_source => "소스 보기", "Open the source";
    refused_lately => "최근에 거부된 연결", "Refused lately";
    k_agent => "QGX 에이전트", "QGX agent";
    k_agent_about => "서버 지표", "Host metrics";
    k_agent_note => "CPU, 메모리, 디스크, 네트워크를 보냅니다. 저장을 확인받으며, 끊기면 이어서 보냅니다.", "Sends CPU, memory, disks and network. Acknowledged, and goes on where it was cut off.";
    k_syslog => "syslog", "syslog";
    k_syslog_about => "rsyslog, 네트워크 장비", "rsyslog, network devices";
    k_syslog_note => "파일을 저장한 뒤 systemctl restart rsyslog를 실행하세요. 저장 확인이 없는 프로토콜이라 끊기는 순간의 몇 줄은 잃을 수 있습니다.", "Save the file, then run systemctl restart rsyslog. This protocol has no acknowledgement: a few lines can be lost when a connection breaks.";
    k_telegraf => "Telegraf", "Telegraf";
    k_telegraf_about => "지표 수집기", "Metrics collector";
    k_telegraf_note => "파일을 저장한 뒤 systemctl restart telegraf를 실행하세요. 호스트 이름이 소스가 됩니다.", "Save the file, then run systemctl restart telegraf. The host's name becomes the source.";
    k_influx => "Influx 라인", "Influx lines";
    k_influx_about => "측정값 한 줄씩", "A measurement a line";
    k_influx_note => "태그와 필드가 그대로 필드가 되고, 숫자는 모두 그래프로 볼 수 있습니다.", "Tags and fields become fields; every number can be charted.";
    k_gelf => "GELF", "GELF";
    k_gelf_about => "Graylog, Docker", "Graylog, Docker";
    k_gelf_note => "메시지마다 NUL 바이트로 끝납니다. _qgx_token은 저장하기 전에 지웁니다.", "Each message ends in a NUL byte. _qgx_token is removed before anything is stored.";
    k_ndjson => "NDJSON", "NDJSON";
    k_ndjson_about => "JSON 한 줄씩, nc로", "A JSON object a line, by nc";
    k_ndjson_note => "첫 줄의 AUTH 다음에 JSON을 한 줄에 하나씩 보냅니다. 어떤 필드든 됩니다.", "After AUTH on the first line, a JSON object a line, with any fields.";
    k_lines => "QGX 라인", "QGX lines";
    k_lines_about => "저장을 확인받음", "Acknowledged";
    k_lines_note => "ACK를 받은 줄은 디스크에 저장된 것입니다. stream을 주면 다시 보내도 겹치지 않습니다.", "A line that got its ACK is on disk. With a stream, sending again makes no duplicates.";
    k_http => "HTTP", "HTTP";
    k_http_about => "REST API", "REST API";
    k_http_note => "Idempotency-Key 헤더를 주면 다시 보내도 겹치지 않습니다.", "With an Idempotency-Key header, sending again makes no duplicates.";
    r_no_credential => "토큰 없이 연결했습니다", "Connected without a token";
    r_no_credential_do => "설정에 토큰이 들어 있는지, 첫 줄로 가는지 확인하세요.", "Check that the configuration has the token, and that it goes out first.";
    r_bad_token => "모르는 토큰입니다", "The token is not known";
    r_bad_token_do => "끝까지 복사했는지 확인하세요. qgx_로 시작해 40자가 이어집니다.", "Check that it was copied whole: qgx_ and 40 characters.";
    r_expired => "만료된 토큰입니다", "The token has expired";
    r_revoked => "폐기된 토큰입니다", "The token was revoked";
    r_new_token_do => "새 토큰을 만들어 바꿔 넣으세요.", "Make a new token and put it in.";
    r_wrong_kind => "API 토큰으로 보냈습니다", "Sent with an API token";
    r_wrong_kind_do => "데이터는 수집 토큰으로 보냅니다. 위에서 하나 만드세요.", "Data is sent with an ingest token: make one above.";
    r_http => "TCP 수집 포트로 HTTP를 보냈습니다", "HTTP was sent to the TCP port";
    r_http_do => "HTTP는 REST API 포트의 /api/v1/ingest로 보내세요.", "Send HTTP to /api/v1/ingest on the port of the REST API.";
    r_frame => "한 레코드가 너무 큽니다", "A record is too large";
    r_frame_do => "1 MiB보다 작게 나누세요. 줄바꿈 없이 이어 보내고 있지 않은지 확인하세요.", "Keep records below 1 MiB, and check that each ends in a newline.";
    r_identity => "연결 도중에 토큰이 바뀌었습니다", "The token changed within a connection";
    r_identity_do => "토큰마다 연결을 따로 여세요.", "Open a connection for each token.";
    r_connections => "한 주소의 연결이 너무 많습니다", "Too many connections from one address";
    r_connections_do => "연결을 다시 쓰거나, 쓰지 않는 연결을 닫으세요.", "Use connections again, or close those not in use.";
    r_quota => "한도를 넘었습니다", "Over the quota";
    r_quota_do => "보내는 양을 줄이거나 한도를 올려 달라고 하세요.", "Send less, or ask for a higher quota.";
    r_suspended => "테넌트가 정지되어 있습니다", "The tenant is suspended";
    r_suspended_do => "운영자에게 문의하세요.", "Ask the operator.";
    r_other => "지금은 받을 수 없습니다", "Cannot be taken now";
    r_other_do => "잠시 뒤 다시 연결하세요. 계속되면 운영자에게 문의하세요.", "Connect again shortly; if it goes on, ask the operator.";

    // Settings
    looks => "화면", "Appearance";
    role => "역할", "Role";
    zone => "시간대", "Time zone";
    sessions => "세션", "Sessions";
    tokens => "토큰", "Tokens";
    password_current => "지금 비밀번호", "Current password";
    password_new => "새 비밀번호", "New password";
    password_hint => "10자 이상, 이메일과 달라야 합니다.", "At least 10 characters, and not the e-mail.";
    password_change => "비밀번호 바꾸기", "Change the password";
    password_changed => "바꿨습니다. 다른 브라우저에서는 로그아웃되었습니다.", "Changed. Other browsers have been signed out.";
    end_others => "다른 세션 모두 끝내기", "End all others";
    end_session => "끝내기", "End";
    this_browser => "이 브라우저", "This browser";
    seen(ago: &str) => "마지막 사용 {ago}", "seen {ago}";
    signed_in(at: &str) => "로그인 {at}", "signed in {at}";
    kind_ingest => "수집 (데이터 보내기)", "Ingest (sends data)";
    kind_api => "API (읽고 관리하기)", "API (reads and manages)";
    expires => "만료", "Expires";
    never => "없음", "Never";
    in_30_days => "30일 뒤", "In 30 days";
    in_90_days => "90일 뒤", "In 90 days";
    in_a_year => "1년 뒤", "In a year";
    no_tokens => "토큰이 없습니다", "No tokens";
    no_tokens_body => "데이터를 보내거나 API를 쓰려면 토큰을 만드세요.", "Make one to send data or to use the API.";
    last_used => "마지막 사용", "Last used";
    never_used => "쓰지 않음", "never used";
    revoke => "폐기", "Revoke";
    revoke_note => "되돌릴 수 없습니다. 이 토큰을 쓰는 연결은 5초 안에 끊깁니다.", "This cannot be undone. Connections that use it are closed within 5 seconds.";
    revoked => "폐기됨", "Revoked";
    expired => "만료됨", "Expired";
    valid => "유효", "Valid";
    until(at: &str) => "{at}까지", "until {at}";
}

/// A text that follows the language.
pub(crate) fn t(text: fn(T) -> &'static str) -> impl Fn() -> &'static str + Copy + Send + Sync + 'static {
    ui::i18n::reactive(text)
}

/// The catalogue in the language in use; reactive.
pub(crate) fn texts() -> T {
    T(leptos::prelude::Get::get(&ui::use_locale().lang))
}
