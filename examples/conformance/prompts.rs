//! Prompts: without gaps, with gaps, with a resource, with a picture, and with a question.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use remote_mcp_auth::mcp::feature::{
    CallError, Content, Context, Prompt, PromptArgument, PromptDefinition, PromptMessage,
    PromptResult, ResourceContents,
};

use crate::fixture::{Later, filled_in, one, picture, text};

type Arguments = BTreeMap<String, String>;
type Outcome = Result<Vec<Content>, CallError>;

pub(crate) fn prompts() -> Vec<Arc<dyn Prompt>> {
    vec![
        Arc::new(FnPrompt {
            name: "test_simple_prompt",
            description: "A prompt without gaps.",
            arguments: &[],
            get: |_, _| {
                let text = "This is a simple prompt for testing.";
                Box::pin(async move { Ok(vec![Content::text(text)]) })
            },
        }),
        Arc::new(FnPrompt {
            name: "test_prompt_with_arguments",
            description: "A prompt with two gaps.",
            arguments: &["arg1", "arg2"],
            get: |arguments, _| Box::pin(async move { Ok(with_arguments(&arguments)) }),
        }),
        Arc::new(FnPrompt {
            name: "test_prompt_with_embedded_resource",
            description: "A prompt with a resource.",
            arguments: &["resourceUri"],
            get: |arguments, _| Box::pin(async move { Ok(with_resource(&arguments)) }),
        }),
        Arc::new(FnPrompt {
            name: "test_prompt_with_image",
            description: "A prompt with a picture.",
            arguments: &[],
            get: |_, _| {
                let text = Content::text("Please analyze the image above.");
                Box::pin(async { Ok(vec![picture(), text]) })
            },
        }),
        Arc::new(FnPrompt {
            name: "test_input_required_result_prompt",
            description: "A prompt that asks what it is about.",
            arguments: &[],
            get: |_, context| Box::pin(with_question(context)),
        }),
    ]
}

fn with_arguments(arguments: &Arguments) -> Vec<Content> {
    let (first, second) = (argument(arguments, "arg1"), argument(arguments, "arg2"));
    vec![Content::text(format!(
        "Prompt with arguments: arg1='{first}', arg2='{second}'"
    ))]
}

fn with_resource(arguments: &Arguments) -> Vec<Content> {
    let resource = ResourceContents::text(
        argument(arguments, "resourceUri"),
        "text/plain",
        "Embedded resource content for testing.",
    );
    let text = Content::text("Please process the embedded resource above.");
    vec![Content::Resource { resource }, text]
}

async fn with_question(context: &Context) -> Outcome {
    let question = "What context should the prompt use?";
    let asked = context.elicit("user_context", question, one("context", "string"));
    let answer = filled_in(asked.await?);
    let answer = text(&answer, "context");
    Ok(vec![Content::text(format!("Use this context: {answer}"))])
}

fn argument<'a>(arguments: &'a Arguments, name: &str) -> &'a str {
    arguments.get(name).map(String::as_str).unwrap_or_default()
}

/// A prompt as a function. Everything is said by the person, and every argument is required.
struct FnPrompt {
    name: &'static str,
    description: &'static str,
    arguments: &'static [&'static str],
    get: for<'a> fn(Arguments, &'a Context) -> Later<'a, Outcome>,
}

#[async_trait]
impl Prompt for FnPrompt {
    fn definition(&self) -> PromptDefinition {
        let argument = |&name: &&'static str| PromptArgument {
            name: name.into(),
            description: None,
            required: true,
        };
        PromptDefinition {
            name: self.name.into(),
            title: None,
            description: Some(self.description.into()),
            arguments: self.arguments.iter().map(argument).collect(),
        }
    }

    async fn get(
        &self,
        arguments: Arguments,
        context: &Context,
    ) -> Result<PromptResult, CallError> {
        let said = (self.get)(arguments, context).await?;
        Ok(PromptResult {
            messages: said.into_iter().map(PromptMessage::user).collect(),
            ..PromptResult::default()
        })
    }
}
