//! rmcp's transports, with an ear to what passes through them.

use std::{collections::HashMap, sync::Arc};

use axum::http::{HeaderName, HeaderValue};
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use rmcp::{
    RoleClient,
    model::{ClientJsonRpcMessage, JsonRpcMessage, RequestId},
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
    transport::{
        Transport,
        streamable_http_client::{
            SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
            StreamableHttpResponseLimits,
        },
    },
};
use sse_stream::Sse;

use super::{
    routes::{Routes, Streamed},
    says::Says,
};

/// A transport whose messages are given to the calls that they belong to.
pub(super) struct Routed<T> {
    inner: T,
    routes: Arc<Routes>,
}

impl<T> Routed<T> {
    pub(super) fn new(inner: T, routes: Arc<Routes>) -> Self {
        Self { inner, routes }
    }
}

impl<T: Transport<RoleClient>> Transport<RoleClient> for Routed<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        self.routes.sending(&item);
        self.inner.send(item)
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        loop {
            let message = self.inner.receive().await?;
            if let Some(message) = self.routes.received(message) {
                return Some(message);
            }
        }
    }

    fn close(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.inner.close()
    }
}

type Events = BoxStream<'static, Result<Sse, SseError>>;
type Headers = HashMap<HeaderName, HeaderValue>;

/// An HTTP client that knows which call each stream belongs to, which the messages do not say.
#[derive(Clone)]
pub(super) struct RoutedHttp {
    http: reqwest::Client,
    routes: Arc<Routes>,
    says: Arc<Says>,
}

impl RoutedHttp {
    pub(super) fn new(http: reqwest::Client, routes: Arc<Routes>, says: Says) -> Self {
        let says = Arc::new(says);
        Self { http, routes, says }
    }

    fn listen(&self, call: RequestId, events: Events) -> Events {
        let routes = Arc::clone(&self.routes);
        let listening = (events, Some((routes, call)));
        stream::unfold(listening, |(mut events, mut listening)| async move {
            let Some(event) = events.next().await else {
                if let Some((routes, call)) = listening {
                    routes.stream_ended(&call);
                }
                return None;
            };
            let event = match (event, &listening) {
                (Ok(event), Some((routes, call))) => match routes.streamed(call, event) {
                    Streamed::Event(event) => Ok(event),
                    Streamed::Answer(event) => {
                        listening = None;
                        Ok(event)
                    }
                },
                (event, _) => event,
            };
            Some((event, (events, listening)))
        })
        .boxed()
    }
}

impl StreamableHttpClient for RoutedHttp {
    type Error = reqwest::Error;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        auth_header: Option<String>,
        custom_headers: Headers,
    ) -> Result<StreamableHttpPostResponse, StreamableHttpError<Self::Error>> {
        let limits = StreamableHttpResponseLimits::default();
        self.post_message_with_response_limits(
            uri,
            message,
            session_id,
            auth_header,
            custom_headers,
            limits,
        )
        .await
    }

    async fn post_message_with_response_limits(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        auth_header: Option<String>,
        mut custom_headers: Headers,
        limits: StreamableHttpResponseLimits,
    ) -> Result<StreamableHttpPostResponse, StreamableHttpError<Self::Error>> {
        self.says.add_to(&mut custom_headers).await;
        let call = match &message {
            JsonRpcMessage::Request(request) => Some(request.id.clone()),
            _ => None,
        };
        let posted = self.http.post_message_with_response_limits(
            uri,
            message,
            session_id,
            auth_header,
            custom_headers,
            limits,
        );
        match (posted.await?, call) {
            (StreamableHttpPostResponse::Sse(events, session), Some(call)) => Ok(
                StreamableHttpPostResponse::Sse(self.listen(call, events), session),
            ),
            (response, _) => Ok(response),
        }
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session_id: Arc<str>,
        auth_header: Option<String>,
        mut custom_headers: Headers,
    ) -> Result<(), StreamableHttpError<Self::Error>> {
        self.says.add_to(&mut custom_headers).await;
        self.http
            .delete_session(uri, session_id, auth_header, custom_headers)
            .await
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        auth_header: Option<String>,
        custom_headers: Headers,
    ) -> Result<Events, StreamableHttpError<Self::Error>> {
        let limit = StreamableHttpResponseLimits::default().max_sse_event_size;
        self.get_stream_with_max_sse_event_size(
            uri,
            session_id,
            last_event_id,
            auth_header,
            custom_headers,
            limit,
        )
        .await
    }

    async fn get_stream_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        auth_header: Option<String>,
        mut custom_headers: Headers,
        max_sse_event_size: usize,
    ) -> Result<Events, StreamableHttpError<Self::Error>> {
        self.says.add_to(&mut custom_headers).await;
        let call = last_event_id.as_deref();
        let call = call.and_then(|event| self.routes.call_after(event));
        let events = self.http.get_stream_with_max_sse_event_size(
            uri,
            session_id,
            last_event_id,
            auth_header,
            custom_headers,
            max_sse_event_size,
        );
        let events = events.await?;
        Ok(match call {
            Some(call) => self.listen(call, events),
            None => events,
        })
    }
}
