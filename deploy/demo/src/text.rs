//! What the demo says, in English and Chinese: its report, its progress, and why it ends.

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::{Serialize, Serializer};
use wugan_coordinator::status::Phase;
use wugan_keys::{commands::CommandError, identity::IdentityError};
use wugan_node::quarantine::QuarantineError;
use wugan_protocol::{month::Month, policy::PolicyError, reason::Reason, texts};
use wugan_transport::client::ClientError;

use crate::city::CityError;

texts! {
    /// Why the demo did not run to its end.
    #[derive(Debug, thiserror::Error)]
    pub enum DemoError {
        /// The arguments ask for what cannot be: exit code 2.
        Usage(#[from] usage: Usage) "{usage}" "{usage}";
        /// A file or folder.
        Path { path: PathBuf, error: io::Error } "{path}: {error}" "{path}：{error}";
        /// A table.
        Table { path: PathBuf, error: csv::Error } "{path}: {error}" "{path}：{error}";
        /// A file that the demo itself writes.
        Written { path: PathBuf, error: String } "{path}: cannot be written: {error}" "{path}：无法写出：{error}";
        /// A line of the log.
        Log { path: PathBuf, error: serde_json::Error } "{path}: {error}" "{path}：{error}";
        /// The report.
        Output(#[from] error: io::Error) "the report cannot be printed: {error}" "无法打印报告：{error}";
        /// The generated city.
        City(#[from] error: CityError) "{error}" "{error}";
        /// Setting up.
        Keys(#[from] error: CommandError) "{error}" "{error}";
        /// Counting rosters.
        Quarantine(#[from] error: QuarantineError) "{error}" "{error}";
        /// Asking the coordinator.
        Coordinator(#[from] error: ClientError) "{error}" "{error}";
        /// What the coordinator refused, in its own words.
        Refused(answer: String) "{answer}" "{answer}";
        /// A policy whose owner has a matter of nobody.
        NoMatter(owner: String) "a matter of {owner} is not in the policy" "{owner} 的某个事项不在策略中";
        /// No port.
        NoPort(error: io::Error) "no UDP port on the loopback address: {error}" "本机回环地址上没有可用的 UDP 端口：{error}";
        /// A process that cannot be started.
        NotStarted { party: String, error: io::Error } "{party} cannot be started: {error}" "无法启动 {party}：{error}";
        /// A process that ended.
        Ended { party: String, status: String, log: PathBuf, last: String }
            "{party} ended ({status}); the end of {log}:\n  {last}"
            "{party} 已退出（{status}）；{log} 末尾：\n  {last}";
        /// Its round is not the one that was opened.
        RoundLost "the coordinator lost the round" "协调方丢失了轮次";
        /// Somebody made it void.
        Abandoned(month: Month) "the round of {month} was abandoned" "{month} 轮次已作废";
        /// Every name is taken.
        FoldersMax(most: u32)
            "there are {most} folders wugan-demo-… here already: remove some, or use --out"
            "此处已有 {most} 个 wugan-demo-… 文件夹：请删除一些，或用 --out 指定";
        /// Decisions that are not this run's.
        Earlier { path: PathBuf, error: io::Error }
            "{path} of an earlier run cannot be removed: {error}"
            "上次运行留下的 {path} 无法删除：{error}";
    }
}

texts! {
    /// What is wrong with the arguments.
    #[derive(Debug, thiserror::Error)]
    pub enum Usage {
        /// The policy forbids a second round so soon.
        OneRound { days: u64 }
            "the policy asks for {days} days between rounds, so only one can be run now: use --rounds 1"
            "策略要求两轮之间间隔 {days} 天，因此现在只能运行一轮：请用 --rounds 1";
        /// The disk is nearly full.
        NoSpace { folder: PathBuf, free_mib: u64, needed_mib: u64 }
            "{folder} has {free_mib} MiB free, and a federation needs at least {needed_mib}: free some, or name another --out"
            "{folder} 剩余空间 {free_mib} MiB，而运行联合体至少需要 {needed_mib} MiB：请腾出空间，或用 --out 指定其他位置";
        /// The calendar ends.
        Months { rounds: u32, first: Month }
            "there are no {rounds} months from {first} on"
            "{first} 之后没有 {rounds} 个月";
        /// The generator cannot.
        City(#[from] error: CityError) "{error}" "{error}";
        /// The catalogue cannot be read.
        Catalogue { path: PathBuf, error: io::Error } "{path}: {error}" "{path}：{error}";
        /// The catalogue is refused.
        Policy { path: PathBuf, error: PolicyError } "{path}: {error}" "{path}：{error}";
        /// A member that can have no keys.
        Member { path: PathBuf, id: String, error: IdentityError } "{path}: {id:?}: {error}" "{path}：{id:?}：{error}";
        /// `--offline` somebody unknown.
        NoDepartment { id: String }
            "--offline {id}: there is no such department in catalogue.toml"
            "--offline {id}：catalogue.toml 中没有这个部门";
        /// `--offline` the coordinator's department.
        Coordinator { id: String }
            "--offline {id}: the coordinator's own department may not be missing from a round"
            "--offline {id}：协调方自己的部门不得缺席";
        /// `--offline` the aggregator's department.
        Aggregator { id: String }
            "--offline {id}: the aggregator's own department may not be missing from a round"
            "--offline {id}：汇总方自己的部门不得缺席";
        /// `--offline` too many.
        TooManyOffline { offline: usize, most: usize }
            "{offline} departments offline, but a round waits while more than {most} are missing"
            "{offline} 个部门离线，而缺席超过 {most} 个时轮次会一直等待";
        /// `--out` is taken.
        Held { out: PathBuf, name: &'static str }
            "{out} holds an earlier run ({name}): choose another folder, or remove it"
            "{out} 中有上次运行的内容（{name}）：请另选文件夹，或将其删除";
        /// `--out` has a city.
        HasCity { out: PathBuf }
            "{out} has a city already: choose another folder, or run on it with --input"
            "{out} 中已有一座城市：请另选文件夹，或用 --input 使用它";
        /// `--out` cannot be a folder.
        Out { out: PathBuf, error: io::Error }
            "--out {out}: {error}; name a folder, which is made if need be"
            "--out {out}：{error}；请给出文件夹，不存在时会自动创建";
        /// `--out` is not text.
        NotUtf8 { out: PathBuf }
            "--out {out}: the path is not UTF-8, so no configuration file can name it: choose another"
            "--out {out}：路径不是 UTF-8，配置文件无法写出它：请另选路径";
        /// `--out` is too long.
        TooLong { out: PathBuf, most: usize }
            "--out {out}: the path has more than {most} bytes, which leaves no room for the files below it: choose a \
             shorter one"
            "--out {out}：路径超过 {most} 字节，其下的文件将无法命名：请选用较短的路径";
    }
}

texts! {
    /// Lines of progress, and the parts of the report.
    pub(crate) enum Text {
        Phase { month: Month, step: Step } "{month}: {step}" "{month}：{step}";
        ChannelFailed { department: String, channel: String, reason: Reason, log: PathBuf }
            "{department}: channel {channel} did not take part: {reason}; {log} says which line and what to do"
            "{department}：渠道 {channel} 未参加：{reason}；{log} 写明了行号和处理办法";
        RosterFailed { owner: String, reason: Reason, log: PathBuf }
            "{owner}: roster.csv did not take part: {reason}; {log} says which line and what to do"
            "{owner}：名册 roster.csv 未参加：{reason}；{log} 写明了行号和处理办法";
        Quarantined { rows: u64, departments: usize, files: PathBuf }
            "rows that could not be used: {rows}, departments that have them: {departments}; see {files}"
            "无法使用的行：{departments} 个部门共 {rows} 行；见 {files}";
        Matter "matter" "事项";
        All "all" "合计";
        Process "process" "进程";
        Cpu "CPU s" "CPU 秒";
        Peak "peak MiB" "内存峰值 MiB";
        Nodes { nodes: usize } "{nodes} nodes (peak: largest)" "{nodes} 个节点（峰值取最大者）";
        Everything { folder: PathBuf } "everything is in {folder}" "全部文件在 {folder}";
    }
}

texts! {
    /// What a round does in turn.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Step {
        Idle "idle" "空闲";
        Pools "pools" "收集数据池";
        List "list" "签署名单";
        Rows "enrolment, records and rows" "登记与收集名册数据";
        Deciding "matching and decisions" "比对与认定";
        Delivery "delivery" "送达结论";
        Abandoned "abandoned" "已作废";
    }
}

texts! {
    /// Kinds of traffic.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Traffic {
        Enrolment "enrolment" "登记";
        Pools "pools" "数据池";
        Records "records" "名册记录";
        RowLists "row lists" "行清单";
        Bitmaps "bitmaps" "匹配位图";
        SignalBits "signal bits" "信号位";
        Decisions "decisions" "认定结果";
    }
}

impl From<Phase> for Step {
    fn from(phase: Phase) -> Step {
        match phase {
            Phase::Idle => Step::Idle,
            Phase::Pools => Step::Pools,
            Phase::List => Step::List,
            Phase::Rows => Step::Rows,
            Phase::Deciding => Step::Deciding,
            Phase::Closed => Step::Delivery,
            Phase::Abandoned => Step::Abandoned,
        }
    }
}

/// In English, for programs.
impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// In English, for programs.
impl Serialize for Traffic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Names the file or folder of an error.
pub(crate) trait At<T> {
    /// The same, with its path.
    fn at(self, path: &Path) -> Result<T, DemoError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, path: &Path) -> Result<T, DemoError> {
        self.map_err(|error| DemoError::Path { path: path.to_owned(), error })
    }
}
