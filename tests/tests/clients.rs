//! Clients that others wrote, a browser and a fuzzer, against a real gateway: their own idea of the
//! protocols, not ours. `./dev test clients` gets them and says in variables where they are; `./dev
//! test e2e` leaves them out.
//!
//! Each script has a gateway of its own, so that none meets what another has used up or spent.

mod script;
mod stage;

use crate::clients::script::Script;
use crate::clients::stage::Stage;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes Node, Python and Chromium: ./dev test clients"]
async fn clients_of_others_get_what_they_are_promised() {
    let scripts = Script::wanted();
    assert!(!scripts.is_empty(), "no script has such a name");
    for script in scripts {
        println!("{script}");
        let stage = Stage::set().await;
        let finished = script.run(&stage).await;
        for line in finished.stdout.lines() {
            println!("  {line}");
        }
        // The parts print the end of their logs when this panics.
        assert_eq!(finished.code, Some(0), "{script}\n{finished}");
    }
}
