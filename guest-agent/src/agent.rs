//! What each request does.
//!
//! ```text
//!            Create             Start            Shutdown
//!   Empty ──────────► Creating ──────► Created ──────────► Down
//!     ▲                  │
//!     └──── failed ──────┘
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hull_protocol::VERSION;
use hull_protocol::agent::{AgentError, Answer, ErrorKind, Exec, ProcessId, RootFs};

use crate::cgroup::Frozen;
use crate::clock;
use crate::container::Container;
use crate::fault::fault;
use crate::files::Trees;
use crate::platform::Platform;
use crate::process::Process;
use crate::request::{Call, Create};

/// The most processes kept at once, ended ones that were not forgotten among them.
const MAX_PROCESSES: usize = 128;
/// How far the clock may be off before `Hello` sets it.
const CLOCK_SLACK: Duration = Duration::from_millis(50);
/// How long killed processes may take to go.
const KILL_LIMIT: Duration = Duration::from_secs(10);

/// The agent: one container on one machine.
pub struct Agent {
    platform: Box<dyn Platform>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    stage: Stage,
    processes: BTreeMap<ProcessId, Arc<Process>>,
    /// Execs on their way: their names are taken.
    starting: BTreeSet<ProcessId>,
}

#[derive(Default)]
enum Stage {
    #[default]
    Empty,
    Creating,
    Created(Arc<Container>),
    /// A root and nothing that runs in it.
    Mounted,
    Down,
}

impl Agent {
    /// An agent without a container.
    pub fn new(platform: impl Platform) -> Self {
        Self {
            platform: Box::new(platform),
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change of the state is complete when the lock is released.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what is asked; `limit` is how long a `Wait` waits.
    pub(crate) fn answer(&self, call: Call, limit: Option<Duration>) -> Result<Answer, AgentError> {
        match call {
            Call::Hello {
                version,
                time,
                seed,
            } => self.hello(version, time, &seed),
            Call::Create(create) => self.create(*create),
            Call::Mount(root) => self.mount(&root),
            Call::Start => {
                self.container()?.start()?;
                Ok(Answer::Done)
            }
            Call::Exec(exec) => self.exec(*exec),
            Call::Signal { process, signal } => {
                self.process(&process)?.signal(signal)?;
                Ok(Answer::Done)
            }
            Call::Resize { process, size } => {
                self.process(&process)?.resize(size)?;
                Ok(Answer::Done)
            }
            Call::Wait { process } => match self.process(&process)?.wait(limit) {
                Some(exit) => Ok(Answer::Exited(exit)),
                None => Err(deadline()),
            },
            Call::Forget { process } => self.forget(&process),
            Call::Processes => Ok(Answer::Processes {
                list: self.container()?.processes(),
            }),
            Call::Stats => Ok(Answer::Stats(Box::new(self.container()?.stats()))),
            Call::Limit(limits) => {
                self.container()?.limit(limits)?;
                Ok(Answer::Done)
            }
            Call::Shutdown => self.shut_down(),
        }
    }

    /// Ends the machine, after the answer to `Shutdown` is out.
    pub(crate) fn power_off(&self) {
        self.platform.power_off();
    }

    /// A process the host knows.
    pub(crate) fn process(&self, id: &ProcessId) -> Result<Arc<Process>, AgentError> {
        let state = self.lock();
        let process = state.processes.get(id).cloned();
        process.ok_or_else(|| fault(ErrorKind::NoSuchProcess, format!("no process {id}")))
    }

    fn hello(&self, version: u32, time: u64, seed: &[u8]) -> Result<Answer, AgentError> {
        if version != VERSION {
            return Err(fault(
                ErrorKind::Version,
                format!("the host speaks version {version}, the agent {VERSION}"),
            ));
        }
        let slack = u64::try_from(CLOCK_SLACK.as_nanos()).unwrap_or(u64::MAX);
        if clock::now().abs_diff(time) > slack {
            self.platform.set_clock(time)?;
        }
        self.platform.seed(seed)?;
        let kernel = rustix::system::uname();
        Ok(Answer::Hello {
            version: VERSION,
            kernel: kernel.release().to_string_lossy().into_owned(),
        })
    }

    /// Where the container's files are.
    pub(crate) fn files(&self) -> Result<Trees, AgentError> {
        match &self.lock().stage {
            Stage::Created(_) | Stage::Mounted => {}
            Stage::Empty | Stage::Creating => {
                return Err(fault(ErrorKind::State, "there is no container yet"));
            }
            Stage::Down => return Err(fault(ErrorKind::State, "the guest is shutting down")),
        }
        Ok(self.platform.files()?)
    }

    /// Holds the container's processes until what this returns is dropped; nothing where none run.
    pub(crate) fn freeze(&self) -> Result<Option<Frozen>, AgentError> {
        let container = match &self.lock().stage {
            Stage::Created(container) => container.clone(),
            _ => return Ok(None),
        };
        Ok(Some(container.freeze()?))
    }

    fn begin(&self) -> Result<(), AgentError> {
        let mut state = self.lock();
        if !matches!(state.stage, Stage::Empty) {
            return Err(fault(ErrorKind::State, "there is a container already"));
        }
        state.stage = Stage::Creating;
        Ok(())
    }

    fn mount(&self, root: &RootFs) -> Result<Answer, AgentError> {
        self.begin()?;
        let mounted = self
            .platform
            .prepare()
            .and_then(|()| self.platform.root(root));
        let mut state = self.lock();
        if matches!(state.stage, Stage::Creating) {
            state.stage = match mounted {
                Ok(_) => Stage::Mounted,
                Err(_) => Stage::Empty,
            };
        }
        // The mount for a container goes; that of its files stays.
        mounted?;
        Ok(Answer::Done)
    }

    fn create(&self, create: Create) -> Result<Answer, AgentError> {
        self.begin()?;
        let made = Container::create(&*self.platform, create);
        let mut state = self.lock();
        match made {
            Ok(container) => {
                let first = container.first().clone();
                let pid = first.pid;
                state.processes.insert(first.id.clone(), first);
                let container = Arc::new(container);
                if matches!(state.stage, Stage::Down) {
                    // A shutdown did not wait for us.
                    container.kill();
                } else {
                    state.stage = Stage::Created(container);
                }
                Ok(Answer::Created { pid })
            }
            Err(error) => {
                if matches!(state.stage, Stage::Creating) {
                    state.stage = Stage::Empty;
                }
                Err(error)
            }
        }
    }

    fn container(&self) -> Result<Arc<Container>, AgentError> {
        match &self.lock().stage {
            Stage::Created(container) => Ok(container.clone()),
            Stage::Empty | Stage::Creating => {
                Err(fault(ErrorKind::State, "there is no container yet"))
            }
            Stage::Mounted => Err(fault(ErrorKind::State, "the container does not run")),
            Stage::Down => Err(fault(ErrorKind::State, "the guest is shutting down")),
        }
    }

    fn exec(&self, exec: Exec) -> Result<Answer, AgentError> {
        let container = self.container()?;
        let id = exec.process.clone();
        {
            let mut state = self.lock();
            if state.processes.contains_key(&id) || state.starting.contains(&id) {
                return Err(fault(
                    ErrorKind::Invalid,
                    format!("there is a process {id} already"),
                ));
            }
            if state.processes.len() + state.starting.len() >= MAX_PROCESSES {
                return Err(fault(
                    ErrorKind::State,
                    format!("too many processes: at most {MAX_PROCESSES} are kept"),
                ));
            }
            state.starting.insert(id.clone());
        }
        let made = container.exec(exec);
        let mut state = self.lock();
        state.starting.remove(&id);
        let process = made?;
        let pid = process.pid;
        state.processes.insert(id, process);
        Ok(Answer::Created { pid })
    }

    fn forget(&self, id: &ProcessId) -> Result<Answer, AgentError> {
        self.process(id)?.check_ended()?;
        self.lock().processes.remove(id);
        Ok(Answer::Done)
    }

    fn shut_down(&self) -> Result<Answer, AgentError> {
        let (stage, processes) = {
            let mut state = self.lock();
            let stage = std::mem::replace(&mut state.stage, Stage::Down);
            (stage, std::mem::take(&mut state.processes))
        };
        if let Stage::Created(container) = stage {
            container.kill();
        }
        for process in processes.values() {
            // Nobody is going to store its output any more.
            process.outlet.discard();
            process.reaped(KILL_LIMIT);
        }
        self.platform.flush()?;
        Ok(Answer::Done)
    }
}

/// The answer when time is up.
pub(crate) fn deadline() -> AgentError {
    fault(ErrorKind::Deadline, "the deadline has passed")
}
