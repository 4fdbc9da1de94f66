//! A form that a person sent.

use axum::{
    extract::{FromRequest, Request},
    response::Response,
};

use super::problem;
use crate::web::params::Params;

/// What was entered. One that does not arrive whole is answered with a page.
pub struct PostedForm(pub Params);

impl<S: Sync> FromRequest<S> for PostedForm {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        let entered = Params::of_form(request).await;
        entered.map(Self).map_err(problem::incomplete)
    }
}
