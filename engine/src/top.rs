//! The processes of a container, as `ps` shows them.
//!
//! Docker runs the host's `ps` with what the user gave. A guest's processes are not the host's, so
//! here the agent tells of them, and [`columns`] knows the formats of `ps` that are asked for.

mod columns;

use hull_protocol::agent::{Answer, Call};

use crate::agent::AgentFailure;
use crate::api::Top;
use crate::container::Container;
use crate::context::Context;
use crate::error::EngineError;
use crate::time::Timestamp;
use crate::vm;
use columns::{Format, Scene};

pub(crate) async fn top(
    context: &Context,
    container: &Container,
    ps_args: &str,
) -> Result<Top, EngineError> {
    let format: Format = ps_args.parse()?;
    let live = container.live()?;
    let defaults = &context.options.defaults;
    let call = live.agent.call(Call::Processes, defaults.call_deadline);
    let Answer::Processes { list } = call.await? else {
        return Err(AgentFailure::Unexpected.into());
    };
    let memory = vm::guest_memory_mib(container.blueprint().host_config.memory, defaults);
    let scene = Scene {
        now: Timestamp::now().seconds(),
        memory_kb: u64::from(memory) << 10,
    };
    Ok(Top {
        titles: format.titles(),
        processes: list.iter().map(|p| format.row(p, &scene)).collect(),
    })
}
