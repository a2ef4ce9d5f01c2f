//! Rules that look at what another target gets: each of the two is told of the other when the configuration is read. What is
//! delivered there is written down as known here with that target's own step.

use super::ReferenceConfig;
use crate::config::TargetConfig;

/// What a rule needs to know of the target that gets what events name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Elsewhere {
    /// The flows that it takes; none: all.
    pub flows: Vec<String>,
    /// The bodies that it takes; none: all.
    pub bodies: Vec<String>,
}

/// What a target tells another of what it gets: that one's rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lesson {
    /// The other target.
    pub target: String,
    /// Its rule.
    pub rule: ReferenceConfig,
}

/// Joins the rules that look at what another target gets with that one. The errors: a target's index and a sentence that begins
/// with the setting.
#[must_use]
pub fn link(targets: &mut [TargetConfig]) -> Vec<(usize, String)> {
    let mut wrong = Vec::new();
    let mut lessons: Vec<(usize, Lesson)> = Vec::new();
    for index in 0..targets.len() {
        for number in 0..targets[index].references.len() {
            let rule = targets[index].references[number].clone();
            if rule.at.is_empty() {
                continue;
            }
            let mut say = |reason: String| {
                let which = format!("reference {} ({})", number + 1, rule.field);
                wrong.push((index, format!("{which}: at: {reason}")));
            };
            let Some(other) = targets.iter().position(|target| target.name == rule.at) else {
                say(format!("there is no target {:?}", rule.at));
                continue;
            };
            let bodies = &targets[other].bodies;
            if other == index {
                say("that is this target itself: leave at out".into());
            } else if !bodies.is_empty() && !bodies.contains(&rule.of) {
                say(format!("target {:?} takes no {}", rule.at, rule.of));
            } else {
                let elsewhere = Elsewhere {
                    flows: targets[other].flows.clone(),
                    bodies: bodies.clone(),
                };
                let target = targets[index].name.clone();
                targets[index].references[number].elsewhere = Some(elsewhere);
                lessons.push((other, Lesson { target, rule }));
            }
        }
    }
    for (other, lesson) in lessons {
        targets[other].lessons.push(lesson);
    }
    wrong
}
