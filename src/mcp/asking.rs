//! How a question of a handler reaches the client: as a request on a stream (sessions), in an
//! answer that asks for another round (2026-07-28), or in the state of a task.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::{Map, Value};

use super::{
    McpState,
    era::Era,
    feature::{CallError, Context, Question, Stop},
    legacy::SessionRuntime,
    outlet::Outgoing,
    tasks::Task,
};
use crate::secret::Digest;

/// How long a person may take to answer while a call waits.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(5);

/// The way to the client.
pub(super) enum Asker {
    /// There is none.
    Nobody,
    /// Requests on the stream of the call; the answers are posted.
    Session {
        mcp: Arc<McpState>,
        session: Digest,
        era: Era,
    },
    /// The call ends with its questions and is made again with the answers.
    Rounds(OpenQuestions),
    /// The questions stand in the task's state; the answers come by `tasks/update`.
    Task(Arc<Task>),
}

impl Asker {
    /// Whether the call has become a task.
    pub(super) fn is_task(&self) -> bool {
        matches!(self, Self::Task(_))
    }
}

/// Questions that a round ended with.
#[derive(Default)]
pub(super) struct OpenQuestions(Mutex<Vec<(String, Question)>>);

impl OpenQuestions {
    pub(super) fn take(&self) -> Vec<(String, Question)> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(String, Question)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asker {
    /// Asks what has no answer yet.
    pub(super) async fn ask(
        &self,
        context: &Context,
        questions: Vec<(String, Question)>,
    ) -> Result<Map<String, Value>, CallError> {
        match self {
            Self::Nobody => Err(no_answer("the client cannot be asked during this call")),
            Self::Rounds(open) => {
                open.lock().extend(questions);
                Err(CallError(Stop::InputRequired))
            }
            Self::Session { mcp, session, era } => {
                let runtime = mcp.internal.runtimes.of(*session);
                let asked = ask_session(context, &runtime, *era, questions);
                within_time(context, asked).await
            }
            Self::Task(task) => {
                let asked = task.ask(questions);
                within_time(context, async { asked.await.ok_or(NO_ANSWER) }).await
            }
        }
    }
}

const NO_ANSWER: &str = "the client did not answer";

fn no_answer(why: &'static str) -> CallError {
    CallError(Stop::NoAnswer(why))
}

async fn within_time(
    context: &Context,
    asked: impl Future<Output = Result<Map<String, Value>, &'static str>>,
) -> Result<Map<String, Value>, CallError> {
    tokio::select! {
        answered = asked => answered.map_err(no_answer),
        () = context.cancelled().cancelled() => Err(no_answer("the call was cancelled")),
        () = tokio::time::sleep(ANSWER_TIMEOUT) => Err(no_answer("the client did not answer in time")),
    }
}

/// Sends all questions at once and waits for all answers.
async fn ask_session(
    context: &Context,
    runtime: &SessionRuntime,
    era: Era,
    questions: Vec<(String, Question)>,
) -> Result<Map<String, Value>, &'static str> {
    if !context.outlet.is_heard() {
        return Err("the client takes no requests during this call");
    }
    let mut waiting = Vec::new();
    for (key, question) in questions {
        let (request, answer) = runtime.request(&question, era);
        context.outlet.send(Outgoing::Message(request)).await;
        waiting.push((key, question, answer));
    }
    let mut answers = Map::new();
    for (key, question, answer) in waiting {
        let answer = answer.await.map_err(|_| NO_ANSWER)?;
        let answer = answer.ok_or("the client answered with an error")?;
        if !question.is_answered_by(&answer) {
            return Err("the client's answer does not fit the question");
        }
        answers.insert(key, answer);
    }
    Ok(answers)
}
