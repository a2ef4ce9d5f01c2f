//! `[[flow]]` and `[budgets]`: what is agreed about flows.

use std::sync::Arc;

use dray_delivery::share::Share;
use dray_delivery::{Catalogue, catalogue};

use super::{At, Config, Problem, Text};

impl Config {
    /// Gives every target what is agreed, and its share.
    pub(super) fn agree(&mut self) {
        let share = Share::of(self.delivery.in_flight.as_u64(), self.targets.len());
        let catalogue = Arc::new(Catalogue::new(&self.flows, &self.budgets));
        for target in &mut self.targets {
            target.catalogue = Arc::clone(&catalogue);
            target.share = share;
        }
        self.catalogue = catalogue;
    }

    pub(super) fn check_flows(&self, text: Text<'_>, problems: &mut Vec<Problem>) {
        let targets: Vec<&str> = self
            .targets
            .iter()
            .map(|target| target.name.as_str())
            .collect();
        for (index, setting, said) in catalogue::validate(&self.flows, &targets) {
            let place = [At::Key("flow"), At::Index(index), At::Key(setting)];
            let name = self.flows.get(index).map_or("", |flow| &flow.name);
            problems.push(text.problem(&place, format!("flow \"{name}\": {setting}: {said}"), ""));
        }
        for (class, setting, said) in self.budgets.validate() {
            let place = [At::Key("budgets"), At::Key(class), At::Key(setting)];
            problems.push(text.problem(&place, format!("budgets.{class}.{setting}: {said}"), ""));
        }
    }
}
