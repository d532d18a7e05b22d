//! How large a world is searched.

/// Bounds of a search. Each number is how often something may happen in one history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// Nodes.
    pub nodes: u8,
    /// Jobs, each with a fire time at every tick.
    pub jobs: u8,
    /// The last fire time.
    pub ticks: u8,
    /// Runs that wait when the history begins (the first fire time of each job counts as dispatched).
    pub waiting: u8,
    /// Runs that one node executes at once.
    pub slots: u8,
    /// How many runs of a job may be in flight.
    pub max_instances: u8,
    /// How late a fire time may become a run; any number of ticks where none.
    pub grace: Option<u8>,
    /// How many ticks old a plan may be when it is dispatched.
    pub max_age: u8,
    /// How often the lease is granted.
    pub terms: u8,
    /// Requests whose answer is missing.
    pub unknowns: u8,
    /// Changes that clients decide on.
    pub changes: u8,
    /// Runs that clients ask for.
    pub wishes: u8,
    /// Nodes that crash.
    pub crashes: u8,
    /// Sessions that are declared dead.
    pub fencings: u8,
    /// How often somebody reads the claims of a dead session, to settle them.
    pub drains: u8,
    /// How often nodes register again.
    pub registrations: u8,
    /// Attempts that are to be made again later.
    pub retries: u8,
    /// Claims that are given back unbegun.
    pub returns: u8,
    /// How often the store's clock steps back.
    pub steps_back: u8,
    /// Handlers that nobody can stop, and what they do outside.
    pub effects: bool,
}

impl Scope {
    /// Nothing happens; to be filled in.
    pub const NOTHING: Self = Self {
        nodes: 2,
        jobs: 1,
        ticks: 0,
        waiting: 0,
        slots: 1,
        max_instances: 1,
        grace: None,
        max_age: u8::MAX,
        terms: 0,
        unknowns: 0,
        changes: 0,
        wishes: 0,
        crashes: 0,
        fencings: 0,
        drains: 0,
        registrations: 0,
        retries: 0,
        returns: 0,
        steps_back: 0,
        effects: false,
    };

    /// Several leaders, one after the other or at once, while time passes and the clock steps back.
    pub const LEADING: Self = Self {
        ticks: 3,
        terms: 2,
        unknowns: 1,
        steps_back: 1,
        ..Self::NOTHING
    };

    /// The same, with a job that is changed meanwhile.
    pub const CHANGING: Self = Self {
        ticks: 2,
        terms: 2,
        unknowns: 1,
        changes: 1,
        ..Self::NOTHING
    };

    /// Changes upon changes: a job that is removed and put again, paused and resumed.
    pub const REPLACING: Self = Self {
        ticks: 2,
        terms: 1,
        unknowns: 1,
        changes: 2,
        ..Self::NOTHING
    };

    /// Runs that clients ask for, next to those that are due.
    pub const ASKING: Self = Self {
        ticks: 2,
        terms: 1,
        unknowns: 1,
        wishes: 1,
        changes: 1,
        ..Self::NOTHING
    };

    /// A grace time, and plans that grow old.
    pub const LATE: Self = Self {
        ticks: 3,
        grace: Some(0),
        max_age: 1,
        terms: 2,
        unknowns: 1,
        steps_back: 1,
        ..Self::NOTHING
    };

    /// Who holds what, while answers get lost, nodes die, and are taken for dead.
    pub const WORKING: Self = Self {
        jobs: 2,
        waiting: 2,
        unknowns: 1,
        crashes: 1,
        fencings: 1,
        drains: 2,
        registrations: 1,
        returns: 1,
        ..Self::NOTHING
    };

    /// Several who clear up after one dead node, in chunks.
    pub const DRAINING: Self = Self {
        jobs: 2,
        waiting: 2,
        slots: 2,
        fencings: 1,
        drains: 2,
        registrations: 1,
        ..Self::NOTHING
    };

    /// A job that is changed between the attempts of its run.
    pub const BINDING: Self = Self {
        ticks: 2,
        waiting: 1,
        terms: 1,
        changes: 1,
        retries: 1,
        ..Self::NOTHING
    };

    /// More answers lost, over one run.
    pub const LOSING: Self = Self {
        waiting: 1,
        unknowns: 2,
        fencings: 2,
        drains: 2,
        registrations: 1,
        returns: 1,
        ..Self::NOTHING
    };

    /// Runs that wait for another attempt.
    pub const RETRYING: Self = Self {
        waiting: 1,
        terms: 2,
        unknowns: 1,
        retries: 2,
        ..Self::NOTHING
    };

    /// Handlers that nobody can stop, and what they do outside.
    pub const HAUNTED: Self = Self {
        waiting: 1,
        terms: 1,
        unknowns: 1,
        fencings: 1,
        drains: 1,
        registrations: 1,
        effects: true,
        ..Self::NOTHING
    };

    /// A fire's whole life.
    pub const WHOLE: Self = Self {
        ticks: 1,
        terms: 2,
        unknowns: 1,
        changes: 1,
        fencings: 1,
        drains: 1,
        registrations: 1,
        ..Self::NOTHING
    };

    /// All that the tests search, by name.
    pub const ALL: [(&str, Self); 12] = [
        ("leading", Self::LEADING),
        ("changing", Self::CHANGING),
        ("replacing", Self::REPLACING),
        ("asking", Self::ASKING),
        ("late", Self::LATE),
        ("working", Self::WORKING),
        ("draining", Self::DRAINING),
        ("binding", Self::BINDING),
        ("losing", Self::LOSING),
        ("retrying", Self::RETRYING),
        ("haunted", Self::HAUNTED),
        ("whole", Self::WHOLE),
    ];

    /// Sets a bound by its name. Says whether there is one.
    pub fn set(&mut self, name: &str, number: u8) -> bool {
        let bound = match name {
            "nodes" => &mut self.nodes,
            "jobs" => &mut self.jobs,
            "ticks" => &mut self.ticks,
            "waiting" => &mut self.waiting,
            "slots" => &mut self.slots,
            "max_instances" => &mut self.max_instances,
            "max_age" => &mut self.max_age,
            "terms" => &mut self.terms,
            "unknowns" => &mut self.unknowns,
            "changes" => &mut self.changes,
            "wishes" => &mut self.wishes,
            "crashes" => &mut self.crashes,
            "fencings" => &mut self.fencings,
            "drains" => &mut self.drains,
            "registrations" => &mut self.registrations,
            "retries" => &mut self.retries,
            "returns" => &mut self.returns,
            "steps_back" => &mut self.steps_back,
            "grace" => self.grace.insert(number),
            "effects" => {
                self.effects = number > 0;
                return true;
            }
            _ => return false,
        };
        *bound = number;
        true
    }
}
