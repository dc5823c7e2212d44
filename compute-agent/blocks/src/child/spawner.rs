//! The one thread that starts children: their guard is bound to the life of the thread that started
//! them, and threads of a pool come and go.

use std::{
    io,
    process::{Child, Command, Stdio},
    sync::{
        Mutex, PoisonError,
        mpsc::{Sender, channel},
    },
    thread,
};

use super::Invocation;

struct Order {
    invocation: Invocation,
    answer: Sender<io::Result<Child>>,
}

static ORDERS: Mutex<Option<Sender<Order>>> = Mutex::new(None);

/// Starts the program with pipes for output and error, and the guard.
pub(super) fn spawn(invocation: &Invocation) -> io::Result<Child> {
    let orders = orders()?;
    let (answer, answered) = channel();
    let gone = || io::Error::other("the thread that starts child processes is gone");
    orders
        .send(Order {
            invocation: invocation.clone(),
            answer,
        })
        .map_err(|_| gone())?;
    answered.recv().map_err(|_| gone())?
}

fn orders() -> io::Result<Sender<Order>> {
    let mut orders = ORDERS.lock().unwrap_or_else(PoisonError::into_inner);
    match orders.as_ref() {
        Some(sender) => Ok(sender.clone()),
        None => Ok(orders.insert(start_thread()?).clone()),
    }
}

fn start_thread() -> io::Result<Sender<Order>> {
    let (sender, orders) = channel::<Order>();
    thread::Builder::new()
        .name("start-children".to_owned())
        .spawn(move || {
            let has_guard = has_guard();
            if !has_guard {
                tracing::warn!(
                    "setpriv --pdeathsig does not work on this host: \
                 qemu-nbd and rbd may outlive an agent that is killed"
                );
            }
            for Order { invocation, answer } in orders {
                if answer
                    .send(command(&invocation, has_guard).spawn())
                    .is_err()
                {
                    tracing::debug!("nobody waits for a child process that was started");
                }
            }
        })?;
    Ok(sender)
}

/// Tried, because versions without the option print the same usage as versions with it.
fn has_guard() -> bool {
    let mut probe = Command::new("setpriv");
    probe.args(["--pdeathsig", "TERM", "--", "true"]);
    probe
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}

fn command(invocation: &Invocation, has_guard: bool) -> Command {
    let mut command = match has_guard {
        true => {
            let mut setpriv = Command::new("setpriv");
            setpriv
                .args(["--pdeathsig", "TERM", "--"])
                .arg(&invocation.program);
            setpriv
        }
        false => Command::new(&invocation.program),
    };
    command
        .args(&invocation.arguments)
        .env("LC_ALL", "C")
        .env_remove("CEPH_ARGS");
    let input = match invocation.input {
        Some(_) => Stdio::piped(),
        None => Stdio::null(),
    };
    command
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}
