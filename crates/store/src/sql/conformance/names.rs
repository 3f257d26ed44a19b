//! What tells names apart, and how long they may be.

use super::{DAY_ONE, Outcome, Store, TOPIC, arrivals, flush, source, tenant};
use crate::sql::sources::RollupQuery;
use crate::sql::{MetricPoint, Rollup, StreamPosition};
use domain::api::Aggregate;
use domain::{SourceKey, TimeRange};

/// Case, accents, width, composition, trailing spaces: each makes another name. None is taken for another, none lost.
pub async fn names_differ_by_any_byte(store: Store) -> Outcome {
    const NAMES: [&str; 13] =
        ["a", "A", "a ", "a  ", " a", "á", "a\u{301}", "ａ", "ß", "ss", "\u{0}", "🚰", "𠀀"];
    let (acme, pump) = (tenant("acme"), source("pump-1"));
    let mut batch = flush(&[(0, 1)]);
    for (n, name) in (1_u32..).zip(NAMES) {
        batch.streams.push(StreamPosition {
            tenant: acme.clone(),
            source: pump.clone(),
            stream: name.to_owned(),
            sequence: n.into(),
        });
        batch.latest.push((acme.clone(), pump.clone(), name.to_owned(), n.into(), DAY_ONE));
        batch.rollups.push(Rollup {
            tenant: acme.clone(),
            source: pump.clone(),
            metric: name.to_owned(),
            minute: DAY_ONE,
            point: MetricPoint::of(n.into(), DAY_ONE),
        });
        if n % 2 == 1 {
            batch.given_ids.push((acme.clone(), pump.clone(), name.to_owned(), DAY_ONE));
        }
        store.set_setting(name, &n.to_string()).await?;
    }
    store.flush(TOPIC, &batch).await?;

    let latest = store.latest_values(&acme, &pump).await?;
    let mut sorted = NAMES.to_vec();
    sorted.sort_unstable();
    assert_eq!(
        latest.iter().map(|it| it.metric.as_str()).collect::<Vec<_>>(),
        sorted,
        "in the order of bytes"
    );
    for (n, name) in (1_u32..).zip(NAMES) {
        assert_eq!(store.stream_position(&acme, &pump, name).await?, u64::from(n), "{name:?}");
        assert_eq!(store.setting(name).await?, Some(n.to_string()), "{name:?}");
        let asked = RollupQuery {
            tenant: acme.clone(),
            metric: name.to_owned(),
            sources: vec![],
            aggregate: Aggregate::Sum,
            range: TimeRange::new(DAY_ONE, DAY_ONE.plus_nanos(1)),
            step_secs: 60,
            offset_secs: 0,
        };
        assert_eq!(store.rollup(&asked).await?, [(pump.clone(), DAY_ONE, n.into())], "{name:?}");
    }
    let asked: Vec<_> = NAMES.iter().map(|name| (acme.clone(), pump.clone(), (*name).to_owned())).collect();
    let mut known: Vec<_> = store.known_ids(&asked).await?.into_iter().map(|it| it.2).collect();
    known.sort_unstable();
    let mut given: Vec<_> = NAMES.iter().step_by(2).map(|name| (*name).to_owned()).collect();
    given.sort_unstable();
    assert_eq!(known, given);
    Ok(())
}

/// The longest that the product lets through, in letters of four bytes, and what differs only at its end.
pub async fn longest_names_fit(store: Store) -> Outcome {
    let long = |end: &str| format!("{}{end}", "𠀀".repeat(63));
    let acme = tenant(&"a".repeat(30));
    let keys = [long("abc"), long("abd")];
    let mut batch = flush(&[(0, 1)]);
    for (n, name) in (1_u32..).zip(&keys) {
        let key = source(name);
        let mut delta = arrivals(&"a".repeat(30), name, DAY_ONE, 9, n.into());
        delta.protocol = "p".repeat(64);
        batch.sources.push(delta);
        batch.latest.push((acme.clone(), key.clone(), name.clone(), n.into(), DAY_ONE));
        batch.given_ids.push((acme.clone(), key.clone(), name.clone(), DAY_ONE));
        let stream = "𠀀".repeat(64);
        batch.streams.push(StreamPosition { tenant: acme.clone(), source: key, stream, sequence: n.into() });
    }
    assert_eq!(store.flush(TOPIC, &batch).await?.new_sources.len(), 2);
    for (n, name) in (1_u32..).zip(&keys) {
        let key = SourceKey::new(name).expect("255 bytes");
        assert_eq!(store.source(&acme, &key).await?.map(|it| it.events), Some(n.into()));
        let latest = store.latest_values(&acme, &key).await?;
        assert_eq!(
            latest.iter().map(|it| (it.metric.clone(), it.value)).collect::<Vec<_>>(),
            [(name.clone(), n.into())]
        );
        assert_eq!(store.stream_position(&acme, &key, &"𠀀".repeat(64)).await?, u64::from(n));
        assert_eq!(store.known_ids(&[(acme.clone(), key.clone(), name.clone())]).await?.len(), 1);
    }
    Ok(())
}
