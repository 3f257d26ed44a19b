//! Compares what stands in the stores, as the product's own API tells it, with the ledger.

use super::feed::Feed;
use super::http::{self, encoded};
use super::plain;
use super::waiting::until;
use anyhow::{Context, ensure};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long SQL may lag behind the index once the index has everything.
const SQL_LAG: Duration = Duration::from_secs(60);
/// At most so many examples of what is wrong are told.
const EXAMPLES: usize = 5;

/// What is wrong with the stores.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Acknowledged events that the index does not have.
    pub missing: u64,
    /// Events that the index has beyond the first of each number, and such as were never made.
    pub twice: u64,
    /// Acknowledged events that SQL has not counted.
    pub uncounted: u64,
    /// Events that SQL has counted beyond those that were made.
    pub overcounted: u64,
    /// In words, a few of them.
    pub examples: Vec<String>,
}

impl Found {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.missing + self.twice + self.uncounted + self.overcounted == 0
    }

    fn example(&mut self, text: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(text());
        }
    }
}

/// What became of events that nothing acknowledged.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unpromised {
    /// Different ones that are stored.
    pub stored: u64,
    /// Those beyond the first of each number.
    pub twice: u64,
}

/// A reader of the API.
pub struct Audit {
    port: u16,
    token: String,
    /// When the load began, in milliseconds since 1970.
    since: u64,
}

/// An exported event, as far as it is looked at.
#[derive(Deserialize)]
struct Row {
    #[serde(default)]
    source: String,
    fields: Fields,
}

#[derive(Deserialize)]
struct Fields {
    #[serde(default)]
    feed: String,
    #[serde(default)]
    n: f64,
    #[serde(default)]
    p: f64,
}

impl Audit {
    /// A reader of everything from now on.
    ///
    /// # Errors
    /// Where the clock stands before 1970.
    pub fn new(port: u16, token: String) -> anyhow::Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        Ok(Self { port, token, since: u64::try_from(now.as_millis())?.saturating_sub(60_000) })
    }

    fn get(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        self.ask("GET", path, None)
    }

    fn ask(&self, method: &str, path: &str, body: Option<&str>) -> anyhow::Result<Vec<u8>> {
        let (status, body) = http::request(self.port, method, path, Some(&self.token), body)
            .with_context(|| format!("{method} {path}"))?;
        ensure!(status == 200, "{method} {path}: {status} {}", String::from_utf8_lossy(&body));
        Ok(body)
    }

    fn window(&self, q: &str) -> String {
        format!("q={}&from={}&to={}", encoded(q), self.since, encoded("now+24h"))
    }

    /// Waits until so many events of a round can be searched; answers how long that took.
    ///
    /// # Errors
    /// Where they do not come in time.
    pub fn await_total(&self, round: u64, count: u64, limit: Duration) -> anyhow::Result<Duration> {
        let path = format!("/api/v1/events?{}&limit=1", self.window(&format!("round:{round}")));
        until(&format!("{count} events of round {round} in the index"), limit, || {
            // A role that is being restarted does not answer; what is asked is when it does.
            let answer = match self.get(&path) {
                Ok(answer) => serde_json::from_slice::<Value>(&answer)?,
                Err(error) => return Ok(Err(format!("{error:#}"))),
            };
            let total = answer["total"].as_u64().context("a search without a total")?;
            Ok(if total >= count { Ok(()) } else { Err(format!("{total} are")) })
        })
    }

    fn export(&self, q: &str) -> anyhow::Result<Vec<Row>> {
        let lines = self.get(&format!("/api/v1/events/export?{}", self.window(q)))?;
        let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).context("an exported line")).collect()
    }

    /// Compares the index with the ledger: a round, or everything.
    ///
    /// # Errors
    /// Where the API does not answer.
    pub fn index(&self, feeds: &[Arc<Feed>], round: Option<u64>) -> anyhow::Result<Found> {
        let q = round.map_or_else(|| "round:*".to_owned(), |round| format!("round:{round}"));
        let rows = self.export(&q)?;
        let mut found = Found::default();
        let mut known = 0;
        for feed in feeds {
            let of_feed = rows.iter().filter(|row| row.fields.feed == feed.name);
            let stored: Vec<_> = of_feed.map(|row| (row.fields.n as u64, row.source.as_str())).collect();
            known += stored.len();
            compare(feed, round, &stored, &mut found);
        }
        let strange = (rows.len() - known) as u64;
        if strange > 0 {
            found.twice += strange;
            found.example(|| format!("{strange} events of no known stream"));
        }
        Ok(found)
    }

    /// Compares SQL's counts with the ledger: events a source, and the rollup of their numbers. Everything made must be
    /// acknowledged by now.
    ///
    /// # Errors
    /// Where the API does not answer.
    pub fn sql(&self, feeds: &[Arc<Feed>]) -> anyhow::Result<Found> {
        let expected = expected(feeds);
        let mut last = Found::default();
        let waited = until("SQL's counts", SQL_LAG, || {
            last = self.sql_once(&expected)?;
            Ok(if last.is_clean() { Ok(()) } else { Err(last.examples.join("; ")) })
        });
        match waited {
            Err(error) if last.is_clean() => Err(error),
            _ => Ok(last),
        }
    }

    fn sql_once(&self, expected: &BTreeMap<String, Sum>) -> anyhow::Result<Found> {
        let mut found = Found::default();
        let sources: Value = serde_json::from_slice(&self.get("/api/v1/sources?search=chaos-&limit=200")?)?;
        let items = sources["items"].as_array().context("sources without items")?;
        let counts = self.metric(expected, "count")?;
        let sums = self.metric(expected, "sum")?;
        for (source, sum) in expected {
            let arrived = items.iter().find(|item| item["key"] == source.as_str());
            let arrived = arrived.and_then(|item| item["events"].as_u64()).unwrap_or(0);
            let rolled_up = counts.get(source).map_or(0, |count| *count as u64);
            let total = sums.get(source).map_or(0, |sum| *sum as u128);
            let (least, most) = (arrived.min(rolled_up), arrived.max(rolled_up));
            found.uncounted += sum.count.saturating_sub(least);
            found.overcounted += most.saturating_sub(sum.count);
            if arrived != sum.count || rolled_up != sum.count || total != sum.total {
                if arrived == sum.count && rolled_up == sum.count {
                    // As many, but not the same.
                    found.uncounted += 1;
                    found.overcounted += 1;
                }
                found.example(|| {
                    format!(
                        "SQL, {source}: {arrived} arrived, {rolled_up} rolled up with the sum {total}, instead of {} with {}",
                        sum.count, sum.total
                    )
                });
            }
        }
        Ok(found)
    }

    /// The number `n` of each source, summed up over everything.
    fn metric(
        &self,
        sources: &BTreeMap<String, Sum>,
        aggregate: &str,
    ) -> anyhow::Result<BTreeMap<String, f64>> {
        let sources: Vec<_> = sources.keys().collect();
        let mut all = BTreeMap::new();
        // The API draws twenty lines at most.
        for sources in sources.chunks(20) {
            let asked = serde_json::json!({
                "metric": "n", "sources": sources, "aggregate": aggregate, "step": 60,
                "from": self.since.to_string(), "to": "now+2m",
            });
            let answer = self.ask("POST", "/api/v1/metrics/query", Some(&asked.to_string()))?;
            let answer: Value = serde_json::from_slice(&answer)?;
            for series in answer["series"].as_array().context("a chart without series")? {
                let source = series["source"].as_str().context("a series without a source")?;
                let values = series["values"].as_array().context("a series without values")?;
                let total: f64 = values.iter().filter_map(Value::as_f64).sum();
                all.insert(source.to_owned(), total);
            }
        }
        Ok(all)
    }

    /// What became of the plain sender's events.
    ///
    /// # Errors
    /// Where the API does not answer.
    pub fn plain(&self) -> anyhow::Result<Unpromised> {
        let rows = self.export(&format!("source:{}", plain::NAME))?;
        let mut numbers: Vec<_> = rows.iter().map(|row| row.fields.p as u64).collect();
        let all = numbers.len() as u64;
        numbers.sort_unstable();
        numbers.dedup();
        Ok(Unpromised { stored: numbers.len() as u64, twice: all - numbers.len() as u64 })
    }
}

/// What SQL must have of a source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    count: u64,
    total: u128,
}

fn expected(feeds: &[Arc<Feed>]) -> BTreeMap<String, Sum> {
    let mut all = BTreeMap::<String, Sum>::new();
    for feed in feeds {
        let made = feed.book().made;
        let mut add = |source: &str, sum: Sum| {
            let of_source = all.entry(source.to_owned()).or_default();
            of_source.count += sum.count;
            of_source.total += sum.total;
        };
        let cycle = feed.sources().len().max(1) as u64;
        // In each turn every source has one; what is beyond the last whole turn is added one by one.
        let whole = made / cycle;
        for at in 1..=cycle {
            let numbers = whole + u64::from(at <= made % cycle);
            if numbers > 0 {
                let (first, last) = (u128::from(at), u128::from(at + (numbers - 1) * cycle));
                let total = (first + last) * u128::from(numbers) / 2;
                add(feed.source_of(at), Sum { count: numbers, total });
            }
        }
    }
    all
}

/// Compares what is stored of a stream, numbers and sources, with what must be and with what may be.
fn compare(feed: &Feed, round: Option<u64>, stored: &[(u64, &str)], found: &mut Found) {
    let book = feed.book();
    let span = round.map_or((book.made > 0).then_some((1, book.made)), |round| book.of_round(round));
    let (first, last) = span.unwrap_or((1, 0));
    let mut counts = vec![0u32; usize::try_from((last + 1).saturating_sub(first)).unwrap_or(0)];
    for (number, source) in stored {
        let place = number.checked_sub(first).and_then(|at| counts.get_mut(usize::try_from(at).ok()?));
        match place {
            Some(count) if feed.source_of(*number) == *source => *count += 1,
            _ => {
                found.twice += 1;
                found.example(|| format!("{}: number {number} at {source:?} was never made so", feed.name));
            }
        }
    }
    for (number, count) in (first..).zip(counts) {
        if count == 0 && number <= book.acked {
            found.missing += 1;
            found.example(|| {
                format!(
                    "{}: number {number} of {source} is missing",
                    feed.name,
                    source = feed.source_of(number)
                )
            });
        }
        if count > 1 {
            found.twice += u64::from(count - 1);
            found.example(|| format!("{}: number {number} is there {count} times", feed.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::feed::Naming;
    use super::*;

    fn feed() -> Feed {
        let feed = Feed::new("f", Naming::Records(vec!["s0".to_owned(), "s1".to_owned()]));
        feed.make(4, 0);
        feed.make(2, 1);
        feed.sending(6);
        feed.acknowledged(5);
        feed
    }

    #[test]
    fn the_index_is_compared_number_by_number() {
        fn check(round: Option<u64>, stored: &[(u64, &str)], missing: u64, twice: u64) {
            let mut found = Found::default();
            compare(&feed(), round, stored, &mut found);
            assert_eq!((found.missing, found.twice), (missing, twice), "{stored:?}: {:?}", found.examples);
        }
        let all = [(1, "s1"), (2, "s0"), (3, "s1"), (4, "s0"), (5, "s1")];
        check(None, &all, 0, 0);
        // Sent and not acknowledged: there or not.
        check(None, &[&all[..], &[(6, "s0")]].concat(), 0, 0);
        check(None, &all[1..], 1, 0);
        check(None, &[&all[..], &[(3, "s1")]].concat(), 0, 1);
        check(None, &[&all[..], &[(7, "s1")]].concat(), 0, 1);
        // At another source it is neither where it belongs nor what was sent.
        check(None, &[&all[1..], &[(1, "s0")]].concat(), 1, 1);
        check(Some(0), &all[..4], 0, 0);
        check(Some(1), &all[4..], 0, 0);
        check(Some(1), &[], 1, 0);
        check(Some(2), &[], 0, 0);
    }

    #[test]
    fn what_sql_must_have_is_summed_up_by_source() {
        let feeds = [Arc::new(feed())];
        let sums: Vec<_> = expected(&feeds).into_iter().collect();
        let sum = |count, total| Sum { count, total };
        assert_eq!(sums, [("s0".to_owned(), sum(3, 12)), ("s1".to_owned(), sum(3, 9))]);
        let seven = Feed::new("g", Naming::Records((0..7).map(|at| format!("t{at}")).collect()));
        seven.make(1000, 0);
        let seven = [Arc::new(seven)];
        for (source, sum) in expected(&seven) {
            let numbers: Vec<_> = (1..=1000).filter(|number| seven[0].source_of(*number) == source).collect();
            assert_eq!(
                (sum.count, sum.total),
                (numbers.len() as u64, numbers.iter().map(|n| u128::from(*n)).sum())
            );
        }
    }
}
