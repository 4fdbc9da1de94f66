//! The operator's logo, where it is elsewhere: it is copied once, in the background.

use std::time::Duration;

use tokio::task::AbortHandle;

use crate::{
    app::App,
    web::{
        brand::{Brand, Image},
        fetch::Fetcher,
    },
};

/// How long a logo that could not be fetched is let be.
const LOGO_AGAIN_AFTER: Duration = Duration::from_mins(10);

/// Gets the logo, if it is elsewhere. Pages do without it until it is there.
pub(crate) fn fetch(app: &App) -> AbortHandle {
    let (logo, brand) = (app.logo.clone(), app.brand.clone());
    let fetching = tokio::spawn(async move {
        if let Some((fetcher, url)) = logo {
            keep_trying(fetcher, &url, &brand).await;
        }
    });
    fetching.abort_handle()
}

async fn keep_trying(fetcher: Fetcher, url: &str, brand: &Brand) {
    loop {
        let problem = match fetcher.get_image(url).await {
            Ok(bytes) => match Image::new(bytes) {
                Ok(image) => return brand.set_logo(image),
                Err(error) => error.to_string(),
            },
            Err(error) => error.to_string(),
        };
        tracing::warn!(
            problem,
            "the logo of the pages cannot be shown yet (branding.logo)"
        );
        tokio::time::sleep(LOGO_AGAIN_AFTER).await;
    }
}
