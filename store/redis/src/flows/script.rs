//! The scripts of flows.

use crate::script::Script;

/// How many there are.
pub(crate) const COUNT: usize = 12;

/// All of them.
#[derive(Debug)]
pub(crate) struct FlowScripts {
    pub(crate) swap: Script,
    pub(crate) redeem: Script,
    pub(crate) start_family: Script,
    pub(crate) stand: Script,
    pub(crate) turn: Script,
    pub(crate) end_family: Script,
    pub(crate) start_session: Script,
    pub(crate) renew_session: Script,
    pub(crate) list_session: Script,
    pub(crate) end_session: Script,
    pub(crate) touch_session: Script,
    pub(crate) touch_key: Script,
}

impl Default for FlowScripts {
    fn default() -> Self {
        Self {
            swap: Script::new(include_str!("../../scripts/flows/swap.lua")),
            redeem: Script::new(include_str!("../../scripts/flows/redeem.lua")),
            start_family: Script::new(include_str!("../../scripts/flows/start_family.lua")),
            stand: Script::new(concat!(
                include_str!("../../scripts/flows/family.lua"),
                include_str!("../../scripts/flows/stand.lua")
            )),
            turn: Script::new(concat!(
                include_str!("../../scripts/flows/family.lua"),
                include_str!("../../scripts/flows/turn.lua")
            )),
            end_family: Script::new(include_str!("../../scripts/flows/end_family.lua")),
            start_session: Script::new(include_str!("../../scripts/flows/start_session.lua")),
            renew_session: Script::new(include_str!("../../scripts/flows/renew_session.lua")),
            list_session: Script::new(include_str!("../../scripts/flows/list_session.lua")),
            end_session: Script::new(include_str!("../../scripts/flows/end_session.lua")),
            touch_session: Script::new(include_str!("../../scripts/flows/touch_session.lua")),
            touch_key: Script::new(include_str!("../../scripts/flows/touch_key.lua")),
        }
    }
}

impl FlowScripts {
    /// Each, to be loaded.
    pub(crate) const fn all(&self) -> [&Script; COUNT] {
        [
            &self.swap,
            &self.redeem,
            &self.start_family,
            &self.stand,
            &self.turn,
            &self.end_family,
            &self.start_session,
            &self.renew_session,
            &self.list_session,
            &self.end_session,
            &self.touch_session,
            &self.touch_key,
        ]
    }
}
