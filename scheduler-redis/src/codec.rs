//! What stands in values: texts that people can read, and one MessagePack record per job.

use scheduler_core::run::{Claim, WaitingRun};
use scheduler_core::store::{StoreError, StoreErrorKind};
use scheduler_core::{Fence, Job, JobState, Priority, QueueName, RunId, Version};
use serde::{Deserialize, Serialize};

/// The version of the stored record that this code writes, and the newest that it reads.
const FORMAT: u32 = 1;

/// A job's definition as stored: MessagePack with names, and without what is at its default.
#[derive(Serialize, Deserialize)]
struct Record<J> {
    format: u32,
    job: J,
}

/// Only the version, of a record of any version.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

pub(crate) fn job_to_record(job: &Job) -> Result<Vec<u8>, StoreError> {
    rmp_serde::to_vec_named(&Record {
        format: FORMAT,
        job: job.compact(),
    })
    .map_err(|error| {
        let message = format!("job {:?} cannot be written: {error}", job.id().as_str());
        StoreError::new(StoreErrorKind::Refused, "put", message)
    })
}

/// Reads a record; says why it cannot be read.
pub(crate) fn job_from_record(bytes: &[u8]) -> Result<Job, String> {
    let newer =
        |format| format!("the record has format {format}; this version reads up to {FORMAT}");
    // Read once where nothing is wrong with it; why not is looked for only where something is.
    match rmp_serde::from_slice::<Record<Job>>(bytes) {
        Ok(record) if record.format <= FORMAT => Ok(record.job),
        Ok(record) => Err(newer(record.format)),
        Err(error) => Err(match rmp_serde::from_slice::<Format>(bytes) {
            Ok(Format { format }) if format > FORMAT => newer(format),
            Ok(_) => format!("the record cannot be read: {error}"),
            Err(error) => format!("the record is damaged: {error}"),
        }),
    }
}

/// Whether a later version of this code wrote a record.
pub(crate) fn is_newer(bytes: &[u8]) -> bool {
    rmp_serde::from_slice::<Format>(bytes).is_ok_and(|record| record.format > FORMAT)
}

/// What stands before a job's record, on a line of its own: `<version> <state>`, then words that say
/// more: `queue=<queue>` where it is not the default one, `keep`, and `unique` where it was put with a
/// unique key. Scripts write the version, and look for the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) version: Version,
    pub(crate) state: String,
    pub(crate) queue: String,
}

/// The head without the version.
pub(crate) fn head_words(job: &Job, state: &JobState) -> String {
    let mut words = match state {
        JobState::Active => "active",
        JobState::Paused { .. } => "paused",
    }
    .to_owned();
    if *job.queue() != QueueName::default_queue() {
        words.push_str(" queue=");
        words.push_str(job.queue().as_str());
    }
    if job.policy().keep {
        words.push_str(" keep");
    }
    if job.unique().is_some() {
        words.push_str(" unique");
    }
    words
}

/// A stored job's head, and its record.
pub(crate) fn head_and_record(text: &[u8]) -> Option<(Head, &[u8])> {
    let end = text.iter().position(|byte| *byte == b'\n')?;
    let head = std::str::from_utf8(&text[..end]).ok()?;
    let mut words = head.split(' ');
    let version = Version(words.next()?.parse().ok()?);
    let state = words.next()?.to_owned();
    let queue = words.find_map(|word| word.strip_prefix("queue="));
    let queue = queue.map_or_else(|| QueueName::default_queue().to_string(), str::to_owned);
    let head = Head {
        version,
        state,
        queue,
    };
    Some((head, &text[end + 1..]))
}

/// A run in a ready queue: `<attempt> <version or -> <losses> <run>`.
pub(crate) fn ready_text(run: &WaitingRun) -> String {
    match run.version {
        Some(version) => format!("{} {version} {} {}", run.attempt, run.losses, run.run),
        None => format!("{} - {} {}", run.attempt, run.losses, run.run),
    }
}

/// A run in the retry queue: `<queue> <priority> <attempt> <version or -> <losses> <run>`.
pub(crate) fn retry_text(queue: &QueueName, run: &WaitingRun) -> String {
    format!("{queue} {} {}", run.priority.letter(), ready_text(run))
}

pub(crate) fn retry_from_text(text: &str) -> Option<(QueueName, WaitingRun)> {
    let (queue, rest) = text.split_once(' ')?;
    let queue = queue.parse().ok()?;
    let (letter, after) = rest.split_once(' ')?;
    let (priority, rest) =
        Priority::from_letter(letter).map_or((Priority::Normal, rest), |p| (p, after));
    let mut words = rest.splitn(4, ' ');
    let attempt = words.next()?.parse().ok()?;
    let version = match words.next()? {
        "-" => None,
        version => Some(Version(version.parse().ok()?)),
    };
    let losses = words.next()?.parse().ok()?;
    let run = words.next()?.parse().ok()?;
    Some((
        queue,
        WaitingRun {
            run,
            attempt,
            version,
            losses,
            priority,
        },
    ))
}

/// The value of a stored claim: `<fence> <version> <attempt> <losses> <queue> <priority>`, then words
/// that say more, such as `begun`. Before the version stands `~` where this claim bound the run to it.
///
/// Readers take the words that they know and leave what follows, so that later versions can say
/// more.
pub(crate) fn claim_from_text(run: RunId, text: &str) -> Option<Claim> {
    let mut words = text.split(' ');
    let fence = Fence(words.next()?.parse().ok()?);
    let (version, fresh) = bound_from_word(words.next()?)?;
    Some(Claim {
        run,
        fence,
        version,
        fresh,
        attempt: words.next()?.parse().ok()?,
        losses: words.next()?.parse().ok()?,
        queue: words.next()?.parse().ok()?,
        priority: words
            .next()
            .map_or(Some(Priority::Normal), Priority::from_letter)?,
        begun: words.any(|word| word == "begun"),
    })
}

/// A claim as [`claim_from_text`] reads it.
pub(crate) fn claim_text(claim: &Claim) -> String {
    let start = claim_start(claim);
    let begun = if claim.begun { " begun" } else { "" };
    let Claim {
        losses,
        queue,
        priority,
        ..
    } = claim;
    format!("{start} {losses} {queue} {}{begun}", priority.letter())
}

/// A claim's version, and whether this claim bound the run to it.
fn bound_from_word(word: &str) -> Option<(Version, bool)> {
    let (number, fresh) = match word.strip_prefix('~') {
        Some(number) => (number, true),
        None => (word, false),
    };
    Some((Version(number.parse().ok()?), fresh))
}

/// How a stored claim begins that is held as this one.
pub(crate) fn claim_start(claim: &Claim) -> String {
    let mark = if claim.fresh { "~" } else { "" };
    let Claim {
        fence,
        version,
        attempt,
        ..
    } = claim;
    format!("{fence} {mark}{version} {attempt}")
}

/// A line of an exchange's answer: a claim's value, a blank, and its run.
pub(crate) fn claim_from_line(line: &str) -> Option<Claim> {
    let mut blanks = line.match_indices(' ').map(|(at, _)| at);
    let end = blanks.nth(5)?;
    claim_from_text(line[end + 1..].parse().ok()?, &line[..end])
}

/// How many runs a `busy` value names.
pub(crate) fn count_busy(text: Option<&str>) -> usize {
    text.map_or(0, |text| {
        text.split(' ').filter(|word| !word.is_empty()).count()
    })
}

/// How many of these are lined up behind others: they are marked.
pub(crate) fn count_lined_up(text: &str) -> usize {
    text.matches(LINED_UP).count()
}

/// The mark of a run that is lined up, before its word.
pub(crate) const LINED_UP: char = '~';

#[cfg(test)]
mod tests {
    use super::*;
    use scheduler_core::{JobSpec, job::JobDefaults};

    fn run(text: &str) -> RunId {
        text.parse().unwrap()
    }

    #[test]
    fn waiting_runs_read_back() {
        let queue = QueueName::new("mail").unwrap();
        for version in [None, Some(Version(17))] {
            let waiting = WaitingRun {
                run: run("a b@5"),
                attempt: 2,
                version,
                losses: 1,
                priority: Priority::High,
            };
            let text = retry_text(&queue, &waiting);
            assert_eq!(retry_from_text(&text), Some((queue.clone(), waiting)));
        }
        assert_eq!(retry_from_text("mail n 1 - a@5"), None);
        assert_eq!(
            retry_from_text("mail 1 - 0 a@5"),
            retry_from_text("mail n 1 - 0 a@5")
        );
    }

    #[test]
    fn claims_read_back_also_when_a_later_version_says_more() {
        let claim = claim_from_line("9 3 1 0 default l a b@5").unwrap();
        assert_eq!(claim.run, run("a b@5"));
        assert_eq!((claim.fence, claim.version), (Fence(9), Version(3)));
        assert_eq!(claim.priority, Priority::Low);
        let longer = claim_from_text(run("a b@5"), "9 3 1 0 default l 1 more").unwrap();
        assert_eq!(longer, claim);
        let begun = claim_from_text(run("a b@5"), "9 ~3 1 0 default n begun").unwrap();
        assert!(begun.begun && begun.fresh && !claim.begun && !claim.fresh);
        assert_eq!(begun.version, Version(3));
        assert_eq!(
            (claim_start(&claim), claim_start(&begun)),
            ("9 3 1".to_owned(), "9 ~3 1".to_owned())
        );
        assert_eq!(claim_from_line("9 3 1 0"), None);
    }

    #[test]
    fn a_record_reads_back_and_a_newer_or_damaged_one_is_told() {
        let spec = r#"{"id":"a","task":"log","trigger":{"type":"interval","seconds":10}}"#;
        let spec: JobSpec = serde_json::from_str(spec).unwrap();
        let job = spec.resolve(&JobDefaults::default()).unwrap();
        let bytes = job_to_record(&job).unwrap();
        assert_eq!(job_from_record(&bytes), Ok(job));

        let newer = rmp_serde::to_vec_named(&Record {
            format: 2,
            job: "whatever",
        })
        .unwrap();
        assert!(job_from_record(&newer).unwrap_err().contains("format 2"));
        assert!(is_newer(&newer) && !is_newer(&bytes) && !is_newer(b"x"));
        assert!(
            job_from_record(&bytes[..bytes.len() / 2])
                .unwrap_err()
                .contains("damaged")
        );
        assert!(job_from_record(b"").is_err());
    }

    #[test]
    fn a_head_reads_back_and_more_words_do_no_harm() {
        let spec = r#"{"id":"a","task":"log","trigger":{"type":"interval","seconds":10}}"#;
        let spec: JobSpec = serde_json::from_str(spec).unwrap();
        let job = spec.resolve(&JobDefaults::default()).unwrap();
        let words = head_words(&job, &JobState::Active);
        assert_eq!(words, "active");
        let job = job.in_queue(QueueName::new("mail").unwrap());
        assert_eq!(head_words(&job, &JobState::Active), "active queue=mail");
        let head = |text: &str| head_and_record(text.as_bytes()).map(|(head, _)| head);
        let found = head("12 paused more queue=mail keep\nrecord\n").unwrap();
        assert_eq!(
            (found.version, found.state.as_str(), found.queue.as_str()),
            (Version(12), "paused", "mail")
        );
        assert_eq!(head("12 active\n").unwrap().queue, "default");
        let (_, record) = head_and_record(b"1 active\na\nb").unwrap();
        assert_eq!(record, b"a\nb");
        for damaged in ["", "12 active", "x active\n", "12\n"] {
            assert_eq!(head(damaged), None, "{damaged:?}");
        }
    }

    #[test]
    fn a_record_leaves_out_what_is_at_its_default() {
        let spec = r#"{"id":"a","task":"log","trigger":{"type":"cron","expression":"* * * * *"}}"#;
        let spec: JobSpec = serde_json::from_str(spec).unwrap();
        let job = spec.resolve(&JobDefaults::default()).unwrap();
        let bytes = job_to_record(&job).unwrap();
        let in_full = rmp_serde::to_vec_named(&Record {
            format: FORMAT,
            job: &job,
        })
        .unwrap();
        assert!(bytes.len() + 100 < in_full.len());
        // Also as it was written before.
        assert_eq!(job_from_record(&in_full), Ok(job.clone()));
        assert_eq!(job_from_record(&bytes), Ok(job));
    }

    #[test]
    fn busy_runs_are_counted() {
        assert_eq!(count_busy(None), 0);
        assert_eq!(count_busy(Some("@5")), 1);
        assert_eq!(count_busy(Some("@5 !0192")), 2);
        assert_eq!(count_busy(Some("@5 ~!0192 ~@7")), 3);
        assert_eq!(count_lined_up("@5 ~!0192 ~@7"), 2);
    }
}
