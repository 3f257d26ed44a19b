//! Stands for a store that no role of this process needs: nothing is connected, no memory is held.

use async_trait::async_trait;
use bytes::Bytes;
use domain::api::{Facet, FieldInfo, Order};
use domain::query::Query;
use domain::{EventId, TenantId, TimeRange, Timestamp};
use futures::StreamExt;
use futures::stream::BoxStream;
use std::time::Duration;
use store::broker::{Append, Broker, BrokerError, Fetched, Lag, NewRecord, Offset, Partition, Topic};
use store::index::{
    EventIndex, Found, IndexEntry, IndexError, IndexStats, LevelCounts, NumericAggregation, NumericResult,
    ReadLimit, Search, Written,
};

/// No broker.
pub struct NoBroker;

/// No event index.
pub struct NoIndex;

fn no_broker<T>() -> Result<T, BrokerError> {
    Err(BrokerError::Failed("no role of this process uses the broker".to_owned()))
}

fn no_index<T>() -> Result<T, IndexError> {
    Err(IndexError::Failed("no role of this process uses the event index".to_owned()))
}

#[async_trait]
impl Broker for NoBroker {
    fn partitions(&self, _: Topic) -> u32 {
        1
    }

    fn append(&self, _: Topic, _: Vec<NewRecord>) -> Append {
        Box::pin(std::future::ready(no_broker()))
    }

    async fn fetch(
        &self,
        _: Topic,
        _: Partition,
        _: Offset,
        _: usize,
        _: Duration,
    ) -> Result<Fetched, BrokerError> {
        no_broker()
    }

    async fn commit(&self, _: &str, _: Topic, _: Partition, _: Offset) -> Result<(), BrokerError> {
        no_broker()
    }

    async fn committed(&self, _: &str, _: Topic, _: Partition) -> Result<Offset, BrokerError> {
        no_broker()
    }

    async fn lag(&self, _: &str, _: Topic) -> Result<Vec<Lag>, BrokerError> {
        no_broker()
    }

    async fn enforce_retention(&self, _: Timestamp) -> Result<u64, BrokerError> {
        no_broker()
    }

    async fn stored_bytes(&self) -> Result<u64, BrokerError> {
        no_broker()
    }

    async fn close(&self) -> Result<(), BrokerError> {
        Ok(())
    }
}

#[async_trait]
impl EventIndex for NoIndex {
    async fn write(&self, _: Vec<IndexEntry>) -> Result<Written, IndexError> {
        no_index()
    }

    async fn search(&self, _: &TenantId, _: Search, _: ReadLimit) -> Result<Found, IndexError> {
        no_index()
    }

    async fn count(&self, _: &TenantId, _: Query, _: TimeRange, _: ReadLimit) -> Result<u64, IndexError> {
        no_index()
    }

    async fn outside(
        &self,
        _: &TenantId,
        _: Query,
        _: TimeRange,
        _: Timestamp,
        _: ReadLimit,
    ) -> Result<Option<(u64, TimeRange)>, IndexError> {
        no_index()
    }

    async fn histogram(
        &self,
        _: &TenantId,
        _: Query,
        _: Vec<Timestamp>,
        _: ReadLimit,
    ) -> Result<LevelCounts, IndexError> {
        no_index()
    }

    async fn facets(
        &self,
        _: &TenantId,
        _: Query,
        _: TimeRange,
        _: Vec<String>,
        _: u32,
        _: ReadLimit,
    ) -> Result<Vec<Facet>, IndexError> {
        no_index()
    }

    async fn fields(&self, _: &TenantId, _: TimeRange, _: ReadLimit) -> Result<Vec<FieldInfo>, IndexError> {
        no_index()
    }

    async fn get(&self, _: &TenantId, _: EventId, _: ReadLimit) -> Result<Option<Bytes>, IndexError> {
        no_index()
    }

    fn export(
        &self,
        _: &TenantId,
        _: Query,
        _: TimeRange,
        _: Order,
        _: ReadLimit,
    ) -> BoxStream<'static, Result<Bytes, IndexError>> {
        futures::stream::once(std::future::ready(no_index())).boxed()
    }

    async fn aggregate(
        &self,
        _: &TenantId,
        _: NumericAggregation,
        _: ReadLimit,
    ) -> Result<NumericResult, IndexError> {
        no_index()
    }

    async fn drop_expired(&self, _: Timestamp) -> Result<Vec<String>, IndexError> {
        no_index()
    }

    async fn stats(&self) -> Result<IndexStats, IndexError> {
        no_index()
    }

    async fn close(&self) -> Result<(), IndexError> {
        Ok(())
    }
}
