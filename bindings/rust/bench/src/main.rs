//! thrum beside its own C interface, tokio and may: the same work in each, in
//! alternation, each in a process of its own, on two Ps (or threads). Prints medians and the best, each with ratios.
//!
//! `cargo run --release [ROW...]`; rows: spawn_join spawn_many ping_pong yield echo_64
//! echo_1000. `$ROUNDS`: how often each, 7. `$ONLY`: just that one, for a profile.
//!
//! SPDX-License-Identifier: MIT

mod echo;
mod on_c;
mod on_may;
mod on_thrum;
mod on_tokio;

use std::process::{Command, ExitCode};

/// How many Ps, or threads.
pub const PROCS: usize = 2;

/// Nanoseconds, or requests a second.
type Measure = fn() -> f64;

struct Row {
    name: &'static str,
    unit: &'static str,
    /// With thrum first.
    runs: &'static [(&'static str, Measure)],
}

const ROWS: &[Row] = &[
    Row {
        name: "spawn_join",
        unit: "ns",
        runs: &[
            ("thrum", on_thrum::spawn_join),
            ("C", on_c::spawn_join),
            ("C, kept", on_c::spawn_join_kept),
            ("tokio", on_tokio::spawn_join),
            ("may", on_may::spawn_join),
        ],
    },
    Row {
        name: "spawn_many",
        unit: "ns",
        runs: &[
            ("thrum", on_thrum::spawn_many),
            ("C", on_c::spawn_many),
            ("C, kept", on_c::spawn_many_kept),
            ("tokio", on_tokio::spawn_many),
            ("may", on_may::spawn_many),
        ],
    },
    Row {
        name: "ping_pong",
        unit: "ns",
        runs: &[
            ("thrum", on_thrum::ping_pong),
            ("C", on_c::ping_pong),
            ("tokio", on_tokio::ping_pong),
            ("may", on_may::ping_pong),
        ],
    },
    Row {
        name: "yield",
        unit: "ns",
        runs: &[
            ("thrum", on_thrum::yields),
            ("C", on_c::yields),
            ("tokio", on_tokio::yields),
            ("may", on_may::yields),
        ],
    },
    Row {
        name: "echo_64",
        unit: "requests/s",
        runs: &[
            ("thrum", || echo::load("thrum", 64)),
            ("thrum, migratable", || echo::load("moves", 64)),
            ("tokio", || echo::load("tokio", 64)),
        ],
    },
    Row {
        name: "echo_1000",
        unit: "requests/s",
        runs: &[
            ("thrum", || echo::load("thrum", 1000)),
            ("thrum, migratable", || echo::load("moves", 1000)),
            ("tokio", || echo::load("tokio", 1000)),
        ],
    },
];

fn median(numbers: &[f64]) -> f64 {
    numbers[numbers.len() / 2]
}

/// One line: what `of` says of each peer's sorted numbers, and thrum divided by it.
fn line(head: &str, runs: &[(&str, Measure)], all: &[Vec<f64>], of: impl Fn(&[f64]) -> f64) {
    print!("{head:23}");
    for ((name, _), numbers) in runs.iter().zip(all) {
        print!("  {name} {:.0}", of(numbers));
        if *name != "thrum" {
            print!(" ({:.2}x)", of(&all[0]) / of(numbers));
        }
    }
    println!();
}

/// Measures in a process of its own: what another has left running is not there.
fn apart(row: &str, name: &str) -> f64 {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let done = command.args(["measure", row, name]).output().unwrap();
    String::from_utf8_lossy(&done.stdout).trim().parse().expect("a number")
}

fn measure(row: &str, name: &str) {
    let row = ROWS.iter().find(|one| one.name == row).unwrap();
    let run = row.runs.iter().find(|run| run.0 == name).unwrap();
    println!("{}", run.1());
}

fn show(row: &Row, rounds: usize) {
    let only = std::env::var("ONLY").unwrap_or_default();
    let mut runs = row.runs.to_vec();
    runs.retain(|(name, _)| only.is_empty() || only == *name);
    let mut all = vec![Vec::new(); runs.len()];
    for _ in 0..rounds {
        for (numbers, (name, _)) in all.iter_mut().zip(&runs) {
            numbers.push(apart(row.name, name));
        }
    }
    all.iter_mut().for_each(|numbers| numbers.sort_by(f64::total_cmp));
    line(&format!("{:11} {:>11}", row.name, row.unit), &runs, &all, median);
    // On a machine that others use too, what it can be.
    let best = |numbers: &[f64]| match row.unit {
        "ns" => numbers[0],
        _ => numbers[numbers.len() - 1],
    };
    line("       best", &runs, &all, best);
}

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if wanted.first().is_some_and(|word| word == "serve") {
        return echo::serve(&wanted[1]);
    }
    if wanted.first().is_some_and(|word| word == "measure") {
        measure(&wanted[1], &wanted[2]);
        return ExitCode::SUCCESS;
    }
    let rounds = std::env::var("ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(7);
    println!("{}", thrum::build_info());
    println!("medians of {rounds}, and the best; in brackets thrum divided by it");
    for row in ROWS {
        if wanted.is_empty() || wanted.iter().any(|name| name == row.name) {
            show(row, rounds);
        }
    }
    ExitCode::SUCCESS
}
