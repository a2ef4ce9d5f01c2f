//! What is most likely not meant: `check` warns of it, and a collector that starts says it once.

use super::{At, Config, Problem, Text};

impl Config {
    /// `unused`: see [`super::unused`].
    pub(super) fn find_doubts(&self, text: Text<'_>, unused: &[(usize, String)]) -> Vec<Problem> {
        let of_targets = self.targets.iter().enumerate().flat_map(|(index, target)| {
            let doubts = target.doubts();
            doubts
                .into_iter()
                .map(move |doubt| text.of_target(index, &doubt))
        });
        let of_vars = unused.iter().filter_map(|(index, name)| {
            let target = &self.targets.get(*index)?.name;
            let what =
                format!("target {target:?}: vars.{name}: no template of this target names it");
            let place = [
                At::Key("target"),
                At::Index(*index),
                At::Key("vars"),
                At::Key(name),
            ];
            Some(text.problem(
                &place,
                what,
                "see how the preset spells it (dray-collector presets merged), or take it out",
            ))
        });
        of_targets.chain(of_vars).collect()
    }
}
