//! One file for each verb: its arguments, what it does, how its answer looks.

pub(crate) mod attach;
pub(crate) mod commit;
pub(crate) mod completion;
pub(crate) mod cp;
pub(crate) mod create;
pub(crate) mod df;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod events;
pub(crate) mod exec;
pub(crate) mod export;
pub(crate) mod history;
pub(crate) mod images;
pub(crate) mod import;
pub(crate) mod info;
pub(crate) mod inspect;
pub(crate) mod kill;
pub(crate) mod load;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod logs;
pub(crate) mod machine;
pub(crate) mod man;
mod named;
pub(crate) mod pause;
pub(crate) mod port;
pub(crate) mod prune;
pub(crate) mod ps;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod registry;
pub(crate) mod rename;
pub(crate) mod rm;
pub(crate) mod rmi;
pub(crate) mod run;
pub(crate) mod save;
pub(crate) mod search;
pub(crate) mod start;
pub(crate) mod stats;
pub(crate) mod stop;
pub(crate) mod tag;
pub(crate) mod top;
pub(crate) mod update;
pub(crate) mod version;
pub(crate) mod wait;

use crate::args::{Cli, Container, Image, OfContainer, OfImage, System, Verb};
use crate::connect::Host;
use crate::failure::Failure;

/// Does what the command line says; the status is what the process exits with.
pub(crate) async fn execute(cli: Cli) -> Result<u8, Failure> {
    let host = Host::resolve(&cli.global, |name| std::env::var(name).ok())?;
    match cli.verb {
        Verb::Completion(args) => completion::run(&args),
        // A shell that asks for names has no use for a complaint.
        Verb::CompleteNames(args) => Ok(completion::names::run(&args).await.unwrap_or(0)),
        Verb::Doctor(args) => doctor::run(args).await,
        Verb::Man(args) => man::run(&args),
        Verb::Machine(args) => machine::run(args).await,
        Verb::Registry(args) => registry::run(args, host).await,
        Verb::Login(args) => login::run(&args, &host.connect().await?).await,
        Verb::Logout(args) => logout::run(&args),
        Verb::Search(args) => search::run(&args, &host.connect().await?).await,
        Verb::Version(args) => version::run(&args, host).await,
        Verb::OfContainer(verb) | Verb::Container(Container::Same(verb)) => {
            of_container(verb, host).await
        }
        Verb::OfImage(verb) | Verb::Image(Image::Same(verb)) => of_image(verb, host).await,
        Verb::Ps(args) | Verb::Container(Container::Ls(args)) => {
            ps::run(&args, &host.connect().await?).await
        }
        Verb::Images(args) | Verb::Image(Image::Ls(args)) => {
            images::run(&args, &host.connect().await?).await
        }
        Verb::Rmi(args) | Verb::Image(Image::Rm(args)) => {
            rmi::run(&args, &host.connect().await?).await
        }
        Verb::Inspect(args) => inspect::run(&args, &host.connect().await?).await,
        Verb::Container(Container::Inspect(args)) => {
            inspect::run(&args.into(), &host.connect().await?).await
        }
        Verb::Image(Image::Inspect(args)) => {
            inspect::run(&args.into(), &host.connect().await?).await
        }
        Verb::Container(Container::Prune(args)) => {
            prune::containers::run(&args, &host.connect().await?).await
        }
        Verb::Image(Image::Prune(args)) => prune::images::run(&args, &host.connect().await?).await,
        Verb::System(System::Prune(args)) => {
            prune::system::run(&args, &host.connect().await?).await
        }
        Verb::System(System::Df(args)) => df::run(&args, &host.connect().await?).await,
        Verb::Events(args) | Verb::System(System::Events(args)) => {
            events::run(&args, &host.connect().await?).await
        }
        Verb::Info(args) | Verb::System(System::Info(args)) => {
            info::run(&args, &host.connect().await?).await
        }
    }
}

async fn of_container(verb: OfContainer, host: Host) -> Result<u8, Failure> {
    if let OfContainer::Run(args) = verb {
        return run::run(&args, host).await;
    }
    let client = host.connect().await?;
    match verb {
        OfContainer::Run(_) => Ok(0),
        OfContainer::Exec(args) => exec::run(&args, &client).await,
        OfContainer::Attach(args) => attach::run(&args, &client).await,
        OfContainer::Commit(args) => commit::run(&args, &client).await,
        OfContainer::Cp(args) => cp::run(&args, &client).await,
        OfContainer::Create(args) => create::run(&args, &client).await,
        OfContainer::Diff(args) => diff::run(&args, &client).await,
        OfContainer::Export(args) => export::run(&args, &client).await,
        OfContainer::Kill(args) => kill::run(&args, &client).await,
        OfContainer::Logs(args) => logs::run(&args, &client).await,
        OfContainer::Pause(args) => pause::run(&args, pause::Turn::Pause, &client).await,
        OfContainer::Port(args) => port::run(&args, &client).await,
        OfContainer::Rename(args) => rename::run(&args, &client).await,
        OfContainer::Restart(args) => stop::run(&args, stop::Then::StartAgain, &client).await,
        OfContainer::Rm(args) => rm::run(&args, &client).await,
        OfContainer::Start(args) => start::run(&args, &client).await,
        OfContainer::Stats(args) => stats::run(&args, &client).await,
        OfContainer::Stop(args) => stop::run(&args, stop::Then::Rest, &client).await,
        OfContainer::Top(args) => top::run(&args, &client).await,
        OfContainer::Unpause(args) => pause::run(&args, pause::Turn::Unpause, &client).await,
        OfContainer::Update(args) => update::run(&args, &client).await,
        OfContainer::Wait(args) => wait::run(&args, &client).await,
    }
}

async fn of_image(verb: OfImage, host: Host) -> Result<u8, Failure> {
    let client = host.connect().await?;
    match verb {
        OfImage::History(args) => history::run(&args, &client).await,
        OfImage::Import(args) => import::run(&args, &client).await,
        OfImage::Load(args) => load::run(&args, &client).await,
        OfImage::Pull(args) => pull::run(&args, &client).await,
        OfImage::Push(args) => push::run(&args, &client).await,
        OfImage::Save(args) => save::run(&args, &client).await,
        OfImage::Tag(args) => tag::run(&args, &client).await,
    }
}
