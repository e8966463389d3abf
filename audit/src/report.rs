//! The report: one self-contained page of HTML with a verdict, a picture of each round, and all findings, in Chinese and
//! English. It loads nothing from anywhere and runs no script.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use wugan_protocol::{
    policy::{Class, Decision, Policy},
    text::{Language, Say, clock},
    texts,
};

use crate::{
    explain::{Words, canaries, cosigned, steps, told},
    finding::Finding,
    story::{Channel, Department, Matter, Outcome, Owner, Story},
    verify::Report,
};

/// Writes the page.
pub fn html(report: &Report, stories: &[Story]) -> String {
    page(
        report.federation.as_deref().unwrap_or_default(),
        &html! {
            (verdict(report, stories))
            @for (place, story) in stories.iter().enumerate().rev() {
                details open[place + 1 == stories.len()] {
                    summary { h2 { (story.month) " " (both(&story.outcome)) } }
                    (round(story))
                }
            }
        },
    )
}

/// Writes the page of a log that could not be looked at, so that no verdict of another day stays in its place.
pub fn unread(why: &dyn Say) -> String {
    page(
        "",
        &html! {
            header class="bad" {
                h1 { (both(&Label::NotLookedAt)) }
                p { (both(why)) }
            }
        },
    )
}

fn page(federation: &str, main: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="zh-CN" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "wugan · " (federation) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                // The language is chosen without a script: the buttons come before what they show.
                input type="radio" name="language" id="zh" checked;
                label for="zh" { "中文" }
                input type="radio" name="language" id="en";
                label for="en" { "English" }
                main { (main) }
            }
        }
    };
    page.into_string()
}

/// What it comes to, first of all.
fn verdict(report: &Report, stories: &[Story]) -> Markup {
    let counted = stories.iter().filter(|story| story.outcome == Outcome::Closed).count();
    html! {
        header class=(if report.findings.is_empty() { "good" } else { "bad" }) {
            h1 {
                @match &report.federation { Some(name) => (name), None => (both(&Label::NotALog)) }
                " · "
                @if report.findings.is_empty() { (both(&Label::InOrder)) } @else { (both(&Label::NotInOrder)) } }
            p { (both(&Label::Summary { entries: report.entries, rounds: counted, findings: report.findings.len() })) }
        }
        @if !report.findings.is_empty() {
            ol class="findings" { @for finding in &report.findings { li { (in_both(|language| lines(finding, language))) } } }
        }
        @for version in &report.versions {
            p class="version" { (in_both(|language| html! { @for line in version.lines(language) { div { (line) } } })) }
        }
        p class="trust" { (both(&Label::Trust)) }
    }
}

fn lines(finding: &Finding, language: Language) -> Markup {
    html! { @for line in finding.text(language).lines() { div { (line) } } }
}

/// The picture of a round.
fn round(story: &Story) -> Markup {
    let policy = &story.policy;
    html! {
        (timeline(story))
        section {
            h3 { (both(&Label::WhoTookPart)) }
            p class="legend" {
                span class="channel listed" {} " " (both(&Label::TookPart)) " "
                span class="channel missing" {} " " (both(&Label::Missing))
            }
            table { @for department in &story.departments { (source(department, story, policy)) } }
        }
        section {
            h3 { (both(&Label::WhatWasDecided)) }
            p class="legend" { @for decision in Decision::ALL {
                span class={ "key " (decision.name()) } {} " " (both(&decision)) " "
            } }
            table { @for owner in &story.owners { (owner_rows(owner, policy)) } }
        }
        section {
            h3 { (both(&Label::WhoVouches)) }
            @if let Some(words) = cosigned(story) { p { (both(&words)) } }
            @if story.refusals.is_empty() { p { (both(&Words::NoRefusals)) } }
            ul { @for refusal in &story.refusals { li {
                (refusal.entry) " " (refusal.by) ": " (both(&refusal.reason))
            } } }
            @for totals in &story.disclosures { p { (in_both(|language| html! { (totals.text(language)) })) } }
        }
    }
}

/// How long each part took, to scale.
fn timeline(story: &Story) -> Markup {
    let steps: Vec<(Words, u64)> = steps(&story.times).collect();
    let spans = steps.windows(2).filter_map(|pair| match pair {
        [(_, from), (step, to)] => Some((step, to.saturating_sub(*from))),
        _ => None,
    });
    html! {
        p { (clock(story.times.opened)) " " (both(&Words::Opened)) }
        div class="timeline" { @for (step, seconds) in spans {
            // A part of no length is still shown.
            div style={ "flex-grow:" (seconds.max(1)) } { (both(step)) br; b { (both(&Label::Seconds { seconds })) } }
        } }
    }
}

fn source(department: &Department, story: &Story, policy: &Policy) -> Markup {
    let tags = |department: &Department| department.channels.iter().map(|channel| channel.tags).sum::<u64>();
    let most = story.departments.iter().map(tags).max().unwrap_or(0);
    let own = tags(department);
    html! {
        tr {
            th { @match policy.departments.get(usize::from(department.number)) {
                Some(named) => (both(&named.name)),
                None => (department.id),
            } }
            td class="channels" { @for channel in &department.channels { (square(channel, policy)) } }
            td class="wide" { div class="bar tags" style={ "width:" (percent(own, most)) "%" } {} }
            td class="number" { "~" (own) }
        }
    }
}

fn square(channel: &Channel, policy: &Policy) -> Markup {
    let state = match channel.listed {
        Some(true) => "channel listed",
        Some(false) => "channel missing",
        None => "channel",
    };
    let name = |language| policy.channel(channel.number).map_or_else(String::new, |named| named.name.said(language));
    let reason = channel.failed.map(|reason| format!(" · {reason} · {}", reason.said(Language::Chinese)));
    let title = format!("{} · {}", name(Language::Chinese), name(Language::English));
    html! { span class=(state) title={ (title) (reason.unwrap_or_default()) } { (sign(channel.class)) } }
}

/// Strong channels are full signs, weak ones small; a minus is a negative signal.
fn sign(class: Class) -> &'static str {
    match class {
        Class::StrongPositive => "＋",
        Class::WeakPositive => "+",
        Class::StrongNegative => "－",
        Class::WeakNegative => "-",
    }
}

fn owner_rows(owner: &Owner, policy: &Policy) -> Markup {
    let name = policy.departments.get(usize::from(owner.number));
    html! {
        tr { th class="owner" colspan="3" {
            @match name { Some(named) => (both(&named.name)), None => (owner.id) }
            @if !owner.complete { " · " (both(&Label::Absent)) }
            @if let Some(reason) = owner.failed { " · " (both(&reason)) }
        } }
        @for matter in &owner.matters { (matter_row(matter, policy)) }
        @if let Some(outcome) = owner.canaries {
            tr { td class="legend" colspan="3" { (both(&canaries(outcome))) } }
        }
    }
}

fn matter_row(matter: &Matter, policy: &Policy) -> Markup {
    let name = policy.matters.iter().find(|named| named.number == matter.number);
    let all: u64 = matter.counts.iter().filter_map(|count| count.about).sum();
    html! {
        tr {
            td { @match name { Some(named) => (both(&named.name)), None => (matter.id) } }
            td class="wide" { div class="stack" { @for count in &matter.counts {
                @if let Some(about) = count.about.filter(|about| *about > 0) {
                    div class=(count.decision.name()) style={ "width:" (percent(about, all)) "%" } {}
                }
            } } }
            td class="number" { @for count in &matter.counts {
                span class="count" { (both(&count.decision)) " " (both(&told(count))) }
            } }
        }
    }
}

/// In hundredths of the whole, which may be zero.
fn percent(part: u64, whole: u64) -> u64 {
    (part * 100).checked_div(whole).unwrap_or(0)
}

/// A text in both languages, of which the reader sees one.
fn both(text: &(impl Say + ?Sized)) -> Markup {
    in_both(|language| html! { (text.said(language)) })
}

fn in_both(text: impl Fn(Language) -> Markup) -> Markup {
    html! {
        span class="zh" lang="zh-CN" { (text(Language::Chinese)) }
        span class="en" lang="en" { (text(Language::English)) }
    }
}

texts! {
    /// What stands on the page besides a round's own words.
    enum Label {
        InOrder "in order" "无异常";
        NotInOrder "NOT in order" "有异常";
        NotALog "whose log this is cannot be told" "无法判断这是谁的日志";
        NotLookedAt "the log could not be looked at" "日志无法查看";
        Summary { entries: u64, rounds: usize, findings: usize }
            "{entries} entries verified, {rounds} rounds counted, {findings} findings"
            "已验证条目 {entries} 条，有效轮次 {rounds} 轮，发现 {findings} 项";
        Trust
            "The log shows that the agreed rules were followed, by whom, and that nobody was shown another log. It cannot show that a department's records are true; recompute a stage where its inputs lie to see that its result follows from them."
            "日志表明约定的规则得到遵守、由谁执行，且各方所见日志一致。它不能证明部门记录属实；要确认某环节结果源自其输入，请在该方现场重算。";
        WhoTookPart "Who took part, and how much" "参加部门与数据量";
        TookPart "took part" "参加";
        Missing "missing" "缺席";
        WhatWasDecided "What was decided" "认定结果";
        WhoVouches "Who vouches for it" "联署与拒绝";
        Absent "absent: its people keep what they have" "缺席：其人员维持原状";
        Seconds { seconds: u64 } "{seconds} s" "{seconds} 秒";
    }
}

const STYLE: &str = include_str!("report.css");
