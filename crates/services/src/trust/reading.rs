//! What operators type: certificates, fingerprints, networks.

use crate::ServiceError;
use domain::{Lang, Timestamp};
use ipnet::IpNet;
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::{FromDer, X509Certificate};

/// What is wrong with an authority's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoAuthority {
    NoCertificate,
    Several,
    NotOne,
    Expired,
}

impl NoAuthority {
    pub fn text(self, lang: Lang) -> &'static str {
        let (ko, en) = match self {
            Self::NoCertificate => ("PEM 형식의 인증서가 아닙니다.", "This is no certificate in PEM."),
            Self::Several => (
                "인증서가 여러 개입니다. 인증 기관의 인증서 하나만 주세요.",
                "There are several certificates. Give that of the authority alone.",
            ),
            Self::NotOne => (
                "인증 기관의 인증서가 아닙니다(basicConstraints CA:TRUE 없음).",
                "This is not the certificate of an authority (no basicConstraints CA:TRUE).",
            ),
            Self::Expired => ("만료된 인증서입니다.", "This certificate has expired."),
        };
        lang.pick(ko, en)
    }
}

/// An authority's certificate.
pub(super) struct Authority {
    /// SHA-256, hex.
    pub fingerprint: String,
    pub subject: String,
    /// SHA-256 of subject and key, hex.
    pub key_hash: String,
    pub der: Vec<u8>,
    pub expires_at: Timestamp,
}

/// Reads an authority's certificate.
pub(super) fn read_authority(pem: &str) -> Result<Authority, NoAuthority> {
    // What stands before the first certificate is for people: `openssl x509 -text` writes it there.
    let (rest, block) = parse_x509_pem(pem.as_bytes()).map_err(|_| NoAuthority::NoCertificate)?;
    if block.label != "CERTIFICATE" {
        return Err(NoAuthority::NoCertificate);
    }
    if rest.windows(11).any(|window| window == b"-----BEGIN ") {
        return Err(NoAuthority::Several);
    }
    let parsed = X509Certificate::from_der(&block.contents);
    let (_, certificate) = parsed.map_err(|_| NoAuthority::NoCertificate)?;
    if !certificate.basic_constraints().ok().flatten().is_some_and(|it| it.value.ca) {
        return Err(NoAuthority::NotOne);
    }
    let expires_at = Timestamp::from_secs(certificate.validity().not_after.timestamp());
    if expires_at <= Timestamp::now() {
        return Err(NoAuthority::Expired);
    }
    let key = [certificate.subject().as_raw(), certificate.public_key().raw].concat();
    Ok(Authority {
        fingerprint: hex::encode(Sha256::digest(&block.contents)),
        subject: certificate.subject().to_string(),
        key_hash: hex::encode(Sha256::digest(key)),
        der: block.contents,
        expires_at,
    })
}

/// 64 hexadecimal digits, whatever stands between pairs.
pub(super) fn read_fingerprint(lang: Lang, text: &str) -> Result<String, ServiceError> {
    let digits = text.rsplit('=').next().unwrap_or_default().replace([':', ' '], "").to_ascii_lowercase();
    if digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(digits);
    }
    let text = lang.pick(
        "SHA-256 지문(16진수 64자리)을 주세요. 예: openssl x509 -in FILE -noout -fingerprint -sha256",
        "Give the SHA-256 fingerprint, 64 hexadecimal digits: openssl x509 -in FILE -noout -fingerprint -sha256",
    );
    Err(ServiceError::invalid("fingerprint", text))
}

/// A network, or one address.
pub(super) fn read_network(lang: Lang, text: &str) -> Result<IpNet, ServiceError> {
    let text = text.trim();
    let read = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    let wrong = |ko: String, en: String| Err(ServiceError::invalid("network", lang.pick(ko, en)));
    match read {
        None => wrong(
            "주소 또는 네트워크가 아닙니다. 예: 10.0.0.0/8".to_owned(),
            "This is no address or network such as 10.0.0.0/8.".to_owned(),
        ),
        // Connections by IPv4 are told by their IPv4 address, however the listener took them.
        Some(IpNet::V6(network)) if network.addr().to_ipv4_mapped().is_some() => {
            wrong("IPv4 주소는 IPv4로 적으세요.".to_owned(), "Write IPv4 addresses as IPv4.".to_owned())
        }
        Some(network) if network.trunc() != network => wrong(
            format!("{network}은(는) 네트워크의 시작이 아닙니다. {}을(를) 뜻하셨나요?", network.trunc()),
            format!("{network} is not the beginning of a network. Did you mean {}?", network.trunc()),
        ),
        Some(network) => Ok(network),
    }
}

/// An address as text that compares as addresses do.
pub(super) fn comparable(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("4:{:08x}", address.to_bits()),
        IpAddr::V6(address) => format!("6:{:032x}", address.to_bits()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong<T>(read: Result<T, ServiceError>) -> String {
        match read {
            Err(ServiceError::Invalid(problems)) => problems[0].message.clone(),
            Err(other) => panic!("{other}"),
            Ok(_) => String::new(),
        }
    }

    #[test]
    fn networks_are_read() {
        fn check(text: &str, expect: &str) {
            assert_eq!(read_network(Lang::En, text).unwrap().to_string(), expect);
        }
        check("10.0.0.0/8", "10.0.0.0/8");
        check(" 192.0.2.7 ", "192.0.2.7/32");
        check("2001:db8::/32", "2001:db8::/32");
        check("2001:db8::1", "2001:db8::1/128");
        check("0.0.0.0/0", "0.0.0.0/0");
        fn refuse(text: &str, expect: &str) {
            let message = wrong(read_network(Lang::En, text));
            assert!(message.contains(expect), "{text}: {message}");
        }
        refuse("10.1.2.3/8", "Did you mean 10.0.0.0/8?");
        refuse("::ffff:10.0.0.0/104", "as IPv4");
        refuse("10.0.0.0/33", "no address or network");
        refuse("공장", "no address or network");
    }

    #[test]
    fn addresses_compare_as_text_within_their_family() {
        fn check(less: &str, more: &str) {
            let [less, more] = [less, more].map(|text| comparable(text.parse().unwrap()));
            assert!(less < more, "{less} {more}");
        }
        check("9.255.255.255", "10.0.0.0");
        check("255.255.255.255", "::");
        check("2001:db8::ffff", "2001:db8::1:0");
    }

    #[test]
    fn fingerprints_are_read_as_openssl_prints_them() {
        let digits = "ab".repeat(32);
        let colons = vec!["AB"; 32].join(":");
        for text in [digits.clone(), colons.clone(), format!("sha256 Fingerprint={colons}")] {
            assert_eq!(read_fingerprint(Lang::En, &text).unwrap(), digits);
        }
        for text in ["", "ab", &"zz".repeat(32), &"ab".repeat(20)] {
            assert!(wrong(read_fingerprint(Lang::En, text)).contains("SHA-256"), "{text}");
        }
    }
}
