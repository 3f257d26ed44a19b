//! What people have, and the exact configuration for it.

use crate::boot::Ports;
use crate::texts::T;
use ui::Icon;

/// A way to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Agent,
    Syslog,
    Relp,
    Lumberjack,
    Telegraf,
    Influx,
    Gelf,
    Ndjson,
    Lines,
    Http,
}

impl Kind {
    pub(super) const ALL: [Self; 10] = [
        Self::Agent,
        Self::Syslog,
        Self::Relp,
        Self::Lumberjack,
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
            Self::Relp => "relp",
            Self::Lumberjack => "lumberjack",
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
            Self::Relp => Icon::Copy,
            Self::Lumberjack => Icon::Upload,
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
            Self::Relp => T::k_relp,
            Self::Lumberjack => T::k_lumberjack,
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
            Self::Relp => T::k_relp_about,
            Self::Lumberjack => T::k_lumberjack_about,
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
            Self::Relp => T::k_relp_note,
            Self::Lumberjack => T::k_lumberjack_note,
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
            Self::Syslog | Self::Relp => Some("/etc/rsyslog.d/60-qgx.conf"),
            Self::Lumberjack => Some("/etc/filebeat/filebeat.yml"),
            Self::Telegraf => Some("/etc/telegraf/telegraf.d/qgx.conf"),
            _ => None,
        }
    }

    /// Where it sends to.
    pub(super) fn place(self, host: &str, ports: &Ports) -> String {
        match self {
            Self::Http => format!("{}/api/v1/ingest", ports.api_origin(host)),
            _ => format!("TCP {}:{}", ports.ingest_host(host), ports.ingest),
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
            Self::Relp => format!(
                r#"module(load="omrelp")
template(name="qgx" type="string"
  string="<%PRI%>1 %TIMESTAMP:::date-rfc3339% %HOSTNAME% %APP-NAME% %PROCID% %MSGID% [qgx@32473 token=\"{token}\"] %msg%")

*.* action(type="omrelp" target="{host}" port="{port}" template="qgx"
  queue.type="LinkedList" queue.filename="qgx" queue.maxDiskSpace="1g" queue.saveOnShutdown="on"
  action.resumeRetryCount="-1")
"#
            ),
            Self::Lumberjack => format!(
                r#"fields:
  qgx_token: "{token}"
output.logstash:
  hosts: ["{host}:{port}"]

# Logstash: its lumberjack output speaks TLS alone, so QGX needs a certificate
filter {{ mutate {{ add_field => {{ "[fields][qgx_token]" => "{token}" }} }} }}
output {{ lumberjack {{ hosts => ["{host}"] port => {port} ssl_certificate => "/etc/logstash/qgx.pem" }} }}
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_configuration_says_where_to_and_with_which_token() {
        let ports = Ports { ingest: 31_101, api: 31_100, ..Ports::default() };
        let check = |kind: Kind, place: &str, address: &str| {
            let config = kind.config("qgx.test", &ports, "qgx_secret");
            assert!(config.contains("qgx_secret"), "{kind:?}: {config}");
            assert!(config.contains(address), "{kind:?}: {config}");
            assert_eq!(kind.place("qgx.test", &ports), place);
        };
        let tcp = "TCP qgx.test:31101";
        check(Kind::Agent, tcp, "qgx.test:31101");
        check(Kind::Syslog, tcp, r#"target="qgx.test" port="31101""#);
        check(Kind::Relp, tcp, r#"type="omrelp" target="qgx.test" port="31101""#);
        check(Kind::Relp, tcp, r#"[qgx@32473 token=\"qgx_secret\"]"#);
        check(Kind::Lumberjack, tcp, r#"hosts: ["qgx.test:31101"]"#);
        check(Kind::Lumberjack, tcp, "fields:\n  qgx_token: \"qgx_secret\"\n");
        check(Kind::Http, "http://qgx.test:31100/api/v1/ingest", "http://qgx.test:31100/api/v1/ingest");
    }
}
