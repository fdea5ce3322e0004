//! The service on tonic: what a generator would write, without what nobody uses.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};

use tonic::codegen::{Body, BoxFuture, Service, StdError, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use super::{BORROW_PATH, BorrowRequest, BorrowResponse, SERVICE};
use super::{EXCHANGE_PATH, ExchangeRequest, ExchangeResponse};
use super::{REPORT_PATH, ReportRequest, ReportResponse};

/// No question for what is new is nearly as long; whatever is longer is not read.
pub const MAX_REQUEST_BYTES: usize = 65_536;
/// The same of questions for slices: 256 asks and as many returns of 67 bytes at most, and who
/// asks.
pub const MAX_BORROW_BYTES: usize = 49_152;
/// The same of reports: 1,000 services whose names have some two hundred bytes each.
pub const MAX_REPORT_BYTES: usize = 262_144;

/// Who answers.
pub trait Feed: Send + Sync + 'static {
    /// What is new since the asker's cursor.
    fn exchange(
        &self,
        request: Request<ExchangeRequest>,
    ) -> impl Future<Output = Result<Response<ExchangeResponse>, Status>> + Send;

    /// Slices of leased limits.
    fn borrow(
        &self,
        request: Request<BorrowRequest>,
    ) -> impl Future<Output = Result<Response<BorrowResponse>, Status>> + Send;

    /// How services do.
    fn report(
        &self,
        request: Request<ReportRequest>,
    ) -> impl Future<Output = Result<Response<ReportResponse>, Status>> + Send;
}

/// The service, for tonic's router.
pub struct FeedServer<T> {
    inner: Arc<T>,
}

impl<T: Feed> FeedServer<T> {
    /// Serves what answers.
    #[must_use]
    pub fn new(inner: T) -> Self {
        Self { inner: Arc::new(inner) }
    }
}

impl<T> Clone for FeedServer<T> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<T> NamedService for FeedServer<T> {
    const NAME: &'static str = SERVICE;
}

/// The method that tells what is new.
struct Exchange<T>(Arc<T>);

impl<T: Feed> UnaryService<ExchangeRequest> for Exchange<T> {
    type Response = ExchangeResponse;
    type Future = BoxFuture<Response<ExchangeResponse>, Status>;

    fn call(&mut self, request: Request<ExchangeRequest>) -> Self::Future {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { inner.exchange(request).await })
    }
}

/// The method that lends.
struct Borrow<T>(Arc<T>);

impl<T: Feed> UnaryService<BorrowRequest> for Borrow<T> {
    type Response = BorrowResponse;
    type Future = BoxFuture<Response<BorrowResponse>, Status>;

    fn call(&mut self, request: Request<BorrowRequest>) -> Self::Future {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { inner.borrow(request).await })
    }
}

/// The method that takes reports.
struct Report<T>(Arc<T>);

impl<T: Feed> UnaryService<ReportRequest> for Report<T> {
    type Response = ReportResponse;
    type Future = BoxFuture<Response<ReportResponse>, Status>;

    fn call(&mut self, request: Request<ReportRequest>) -> Self::Future {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { inner.report(request).await })
    }
}

impl<T, B> Service<http::Request<B>> for FeedServer<T>
where
    T: Feed,
    B: Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let inner = Arc::clone(&self.inner);
        match request.uri().path() {
            EXCHANGE_PATH => Box::pin(async move {
                let codec = ProstCodec::<ExchangeResponse, ExchangeRequest>::default();
                let mut grpc =
                    Grpc::new(codec).apply_max_message_size_config(Some(MAX_REQUEST_BYTES), None);
                Ok(grpc.unary(Exchange(inner), request).await)
            }),
            BORROW_PATH => Box::pin(async move {
                let codec = ProstCodec::<BorrowResponse, BorrowRequest>::default();
                let mut grpc =
                    Grpc::new(codec).apply_max_message_size_config(Some(MAX_BORROW_BYTES), None);
                Ok(grpc.unary(Borrow(inner), request).await)
            }),
            REPORT_PATH => Box::pin(async move {
                let codec = ProstCodec::<ReportResponse, ReportRequest>::default();
                let mut grpc =
                    Grpc::new(codec).apply_max_message_size_config(Some(MAX_REPORT_BYTES), None);
                Ok(grpc.unary(Report(inner), request).await)
            }),
            _ => {
                let status = Status::unimplemented("no such method");
                Box::pin(async move { Ok(status.into_http()) })
            }
        }
    }
}
