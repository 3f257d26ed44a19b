//! What people have, and the exact configuration for it.

use crate::boot::Ports;
use crate::texts::T;
use ui::Icon;

/// A way to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Agent,
    Syslog,
    Telegraf,
    Influx,
    Gelf,
    Ndjson,
    Lines,
    Http,
}

impl Kind {
    pub(super) const ALL: [Self; 8] = [
        Self::Agent,
        Self::Syslog,
        Self::Telegraf,
        Self::Influx,
        Self::Gelf,
        Self::Ndjson,
        Self::Lines,
        Self::Http,
    ];

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Syslog => "syslog",
            Self::Telegraf => "telegraf",
            Self::Influx => "influx",
            Self::Gelf => "gelf",
            Self::Ndjson => "ndjson",
            Self::Lines => "lines",
            Self::Http => "http",
        }
    }

    pub(super) fn icon(self) -> Icon {
        match self {
            Self::Agent => Icon::Source,
            Self::Syslog => Icon::Terminal,
            Self::Telegraf => Icon::Bolt,
            Self::Influx => Icon::Clock,
            Self::Gelf => Icon::Box,
            Self::Ndjson => Icon::File,
            Self::Lines => Icon::Check,
            Self::Http => Icon::Globe,
        }
    }

    pub(super) fn title(self) -> fn(T) -> &'static str {
        match self {
            Self::Agent => T::k_agent,
            Self::Syslog => T::k_syslog,
            Self::Telegraf => T::k_telegraf,
            Self::Influx => T::k_influx,
            Self::Gelf => T::k_gelf,
            Self::Ndjson => T::k_ndjson,
            Self::Lines => T::k_lines,
            Self::Http => T::k_http,
        }
    }

    pub(super) fn about(self) -> fn(T) -> &'static str {
        match self {
            Self::Agent => T::k_agent_about,
            Self::Syslog => T::k_syslog_about,
            Self::Telegraf => T::k_telegraf_about,
            Self::Influx => T::k_influx_about,
            Self::Gelf => T::k_gelf_about,
            Self::Ndjson => T::k_ndjson_about,
            Self::Lines => T::k_lines_about,
            Self::Http => T::k_http_about,
        }
    }

    /// What to know before copying: whether it is acknowledged, what to restart.
    pub(super) fn note(self) -> fn(T) -> &'static str {
        match self {
            Self::Agent => T::k_agent_note,
            Self::Syslog => T::k_syslog_note,
            Self::Telegraf => T::k_telegraf_note,
            Self::Influx => T::k_influx_note,
            Self::Gelf => T::k_gelf_note,
            Self::Ndjson => T::k_ndjson_note,
            Self::Lines => T::k_lines_note,
            Self::Http => T::k_http_note,
        }
    }

    /// The file that the configuration belongs to.
    pub(super) fn file(self) -> Option<&'static str> {
        match self {
            Self::Syslog => Some("/etc/rsyslog.d/60-qgx.conf"),
            Self::Telegraf => Some("/etc/telegraf/telegraf.d/qgx.conf"),
            _ => None,
        }
    }

    /// The configuration or command, ready to be pasted.
    pub(super) fn config(self, host: &str, ports: &Ports, token: &str) -> String {
        let port = ports.ingest;
        let api = ports.api_origin(host);
        let host = ports.ingest_host(host);
        match self {
            Self::Agent => format!("qgx agent --to {host}:{port} --token {token}"),
            Self::Syslog => format!(
                r#"template(name="qgx" type="string"
  string="<%PRI%>1 %TIMESTAMP:::date-rfc3339% %HOSTNAME% %APP-NAME% %PROCID% %MSGID% [qgx@32473 token=\"{token}\"] %msg%\n")

*.* action(type="omfwd" target="{host}" port="{port}" protocol="tcp" template="qgx"
  queue.type="LinkedList" queue.filename="qgx" queue.maxDiskSpace="1g" queue.saveOnShutdown="on"
  action.resumeRetryCount="-1")
"#
            ),
            Self::Telegraf => format!(
                r#"[global_tags]
  qgx_token = "{token}"

[[outputs.socket_writer]]
  address = "tcp://{host}:{port}"
  data_format = "influx"
"#
            ),
            Self::Influx => format!(
                r#"{{ echo 'AUTH {token}'
  echo "machine,site=busan temperature=81.2,rpm=1480i $(date +%s%N)"
}} | nc -N {host} {port}"#
            ),
            Self::Gelf => format!(
                r#"printf '{{"version":"1.1","host":"web-1","short_message":"hello","level":6,"_qgx_token":"{token}"}}\0' | nc -N {host} {port}

# Docker
docker run --log-driver gelf --log-opt gelf-address=tcp://{host}:{port} \
  -e qgx_token={token} --log-opt env=qgx_token IMAGE"#
            ),
            Self::Ndjson => format!(
                r#"{{ echo 'AUTH {token}'; cat app.ndjson; }} | nc -N {host} {port}

# app.ndjson
{{"ts":"2026-11-22T10:00:00+09:00","level":"warn","source":"pump-1","message":"bearing hot","temperature":81.2}}"#
            ),
            Self::Lines => format!(
                r#"$ nc {host} {port}
HELLO {{"token":"{token}","source":"pump-1","stream":"boot-7"}}
OK {{"stream":"boot-7","last_seq":0}}
{{"message":"bearing hot","level":"warn","temperature":81.2}}
ACK 1

# or whole files, with progress
qgx send --to {host}:{port} --token {token} --source pump-1 FILE"#
            ),
            Self::Http => format!(
                r#"curl -H 'Authorization: Bearer {token}' \
  -H 'Content-Type: application/x-ndjson' \
  --data-binary @app.ndjson \
  {api}/api/v1/ingest"#
            ),
        }
    }
}
