//! `docs/order-states.md`, written from the tables.

use std::fmt::Write as _;

use super::{BEGINNINGS, EDGES, Effect, Event, PLAN, Status};

/// The document. `shop-order states` prints it; a test compares the committed file.
pub(crate) fn document() -> String {
    let mut text = String::from(
        "# States and saga of an order\n\n\
         Generated from the tables in `services/order/src/domain/` by `cargo run -p shop-order -- states`; don't edit.\n\n\
         ## States\n\n```mermaid\nstateDiagram-v2\n    [*] --> pending\n",
    );
    for edge in EDGES {
        line(&mut text, format_args!("    {} --> {}: {}", edge.from, edge.to, edge.event.as_str()));
    }
    for status in Status::ALL.iter().filter(|status| !EDGES.iter().any(|edge| edge.from == **status)) {
        line(&mut text, format_args!("    {status} --> [*]"));
    }
    text.push_str(
        "```\n\n## Saga\n\n\
         An outcome, its effect on the order and the next step are written in one transaction; a call that fails is made \
         again\nuntil it succeeds.\n\n\
         | a new step begins | when the order was | and somebody or the clock |\n|---|---|---|\n",
    );
    line(&mut text, format_args!("| {} | | places it |", super::Step::FIRST));
    for beginning in BEGINNINGS {
        let only = if beginning.event == Event::Refund { ", and the goods come back" } else { "" };
        line(
            &mut text,
            format_args!("| {} | {} | {}s it{only} |", beginning.step, beginning.from, beginning.event.as_str()),
        );
    }
    text.push_str("\n| step | calls | outcome | effect on the order | next step |\n|---|---|---|---|---|\n");
    for row in PLAN {
        let next = row.next.map_or("none", super::Step::as_str);
        let outcome = row.outcome.as_str().replace('_', " ");
        line(
            &mut text,
            format_args!("| {} | `{}` | {outcome} | {} | {next} |", row.step, row.step.calls(), effect(row.effect)),
        );
    }
    text
}

fn effect(effect: Effect) -> String {
    match effect {
        Effect::None => "none".to_owned(),
        Effect::Reserve => "reserved".to_owned(),
        Effect::Reject(reason) => format!("rejected: `{}`", reason.as_str()),
        Effect::CancelAsAsked => "cancelled, as asked".to_owned(),
        Effect::CancelForWantOfStock => "cancelled: what was paid is due back".to_owned(),
    }
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string can't fail.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_document_is_the_generated_one() {
        let committed = include_str!("../../../../docs/order-states.md");
        assert_eq!(committed, super::document(), "run `cargo run -p shop-order -- states > docs/order-states.md`");
    }
}
