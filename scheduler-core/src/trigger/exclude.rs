//! Exclusions: stretches of time in which a trigger does not fire.

use super::cron::Mask;
use super::error::TriggerError;
use super::moment::Moment;
use super::spec::ExcludeSpec;
use super::zone::Zone;
use crate::time::Timestamp;

/// When a trigger does not fire.
#[derive(Clone, Debug)]
pub(crate) struct Exclusions(Vec<Exclusion>);

#[derive(Clone, Debug)]
enum Exclusion {
    /// From one instant to another, both included.
    Stretch(Timestamp, Timestamp),
    /// Whenever the wall clock matches.
    Mask(Box<Mask>),
}

impl Exclusions {
    pub(crate) fn new(specs: &[ExcludeSpec], zone: Zone) -> Result<Self, TriggerError> {
        let read = |(number, spec): (usize, &ExcludeSpec)| {
            Exclusion::new(spec, zone).map_err(|error| match error.field.as_str() {
                "" => error.renamed(format!("exclude[{number}]")),
                _ => error.within(format!("exclude[{number}]")),
            })
        };
        specs
            .iter()
            .enumerate()
            .map(read)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// If `at` is excluded, a later instant up to which nothing fires.
    pub(crate) fn until(&self, at: Timestamp) -> Option<Timestamp> {
        self.0
            .iter()
            .filter_map(|exclusion| exclusion.until(at))
            .max()
    }
}

impl Exclusion {
    fn new(spec: &ExcludeSpec, zone: Zone) -> Result<Self, TriggerError> {
        let (from, to) = match spec {
            ExcludeSpec::Range {
                start_date,
                end_date,
            } => (
                Moment::parse("start_date", start_date)?,
                Moment::parse("end_date", end_date)?,
            ),
            ExcludeSpec::Text(text) if super::cron::looks_like_cron(text) => {
                return Ok(Self::Mask(Box::new(Mask::parse("", text, zone)?)));
            }
            ExcludeSpec::Text(text) => {
                let day = Moment::parse("", text)?;
                (day, day)
            }
        };
        let (from, to) = (from.start(&zone), to.end(&zone));
        if to < from {
            return Err(TriggerError::new(
                "end_date",
                format!("{to} lies before {from}"),
            ));
        }
        Ok(Self::Stretch(from, to))
    }

    fn until(&self, at: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Stretch(from, to) => {
                (*from <= at && at <= *to).then(|| Timestamp::from_ms(to.as_ms() + 1))
            }
            Self::Mask(mask) => mask.until(at),
        }
    }
}
