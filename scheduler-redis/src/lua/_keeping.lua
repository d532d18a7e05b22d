-- Records that are kept of single jobs, beyond what is kept of all. `keeping` holds what a job's policy
-- says: `<records> <ms or ->`, and of a job that is long gone, when that is forgotten. `kept` holds the
-- records, all with one score, so that they stand by job and in order: members are
-- `<job> TAB <entry of history> TAB <when written> TAB <record>`. `kept-until` says when a job's are to be
-- looked through.

-- What is kept of a job: how many records, for how many ms or nil, and when that is forgotten or nil.
local function keeping_of(text)
  local most, age, till = string.match(text or '', '^(%d+) (%S+) ?(%d*)$')
  return tonumber(most), tonumber(age), tonumber(till)
end

-- The stretch of `kept` that is a job's. No id holds a character below a blank.
local function kept_range(job)
  return '[' .. job .. '\t', '(' .. job .. '\n'
end

-- A job's oldest kept records, at most so many.
local function oldest_kept(job, limit)
  local from, to = kept_range(job)
  return redis.call('ZRANGE', K.kept, from, to, 'BYLEX', 'LIMIT', 0, limit)
end

-- When a kept record was written.
local function kept_at(member)
  return tonumber(string.match(member, '^[^\t]*\t[^\t]*\t(%-?%d+)\t')) or 0
end

-- Forgets a job's `count` oldest records; `first` is the oldest.
local function forget_kept(first, count)
  local rank = redis.call('ZRANK', K.kept, first)
  if rank then
    redis.call('ZREMRANGEBYRANK', K.kept, rank, rank + count - 1)
  end
end

-- The job that a record is about, or nil. What stands in front is written so by all versions; what
-- has to be unescaped is read as a whole.
local function job_of_record(line)
  local run = string.match(line, '^{"run":"([^"\\]*)"')
  if run then
    return job_of(run)
  end
  local job = string.match(line, '^{"job":"([^"\\]*)"')
  if job then
    return job
  end
  local is_json, record = pcall(cjson.decode, line)
  if not is_json or type(record) ~= 'table' then
    return nil
  end
  if type(record.run) == 'string' then
    return job_of(record.run)
  end
  return type(record.job) == 'string' and record.job or nil
end

-- Where an entry of history stands, so that the order of texts is that of entries; `nth` is the place
-- of a record in it.
local function place_in_history(id, nth)
  local ms, seq = string.match(id, '^(%d+)%-(%d+)$')
  return string.format('%015.0f-%06.0f-%04.0f', tonumber(ms), tonumber(seq), nth)
end

-- Reads what jobs want kept of the `count` oldest entries of history: per job that wants anything, what
-- its policy says, and the members to add, the oldest first.
local function read_wanted(count, t)
  local by_job, jobs = {}, {}
  for _, entry in ipairs(redis.call('XRANGE', K.history, '-', '+', 'COUNT', count)) do
    local id, fields = entry[1], {}
    for i = 1, #entry[2], 2 do
      fields[entry[2][i]] = entry[2][i + 1]
    end
    local at, nth = fields.at or string.match(id, '^%d+'), 0
    for line in string.gmatch(fields.records or '', '[^\n]+') do
      nth = nth + 1
      local job = job_of_record(line)
      if job then
        if not by_job[job] then
          by_job[job] = {}
          jobs[#jobs + 1] = job
        end
        table.insert(by_job[job], { id, nth, at, line })
      end
    end
  end
  local wanted = {}
  for first = 1, #jobs, 500 do
    local last = math.min(first + 499, #jobs)
    local texts = redis.call('HMGET', K.keeping, unpack(jobs, first, last))
    for i = first, last do
      local most, age = keeping_of(texts[i - first + 1])
      if most then
        local job, members = jobs[i], {}
        local lines = by_job[job]
        for n = math.max(1, #lines - most + 1), #lines do
          local id, nth, at, line = unpack(lines[n])
          if not age or (tonumber(at) or 0) >= t - age then
            members[#members + 1] = job .. '\t' .. place_in_history(id, nth) .. '\t' .. at .. '\t' .. line
          end
        end
        wanted[#wanted + 1] = { job, most, age, members }
      end
    end
  end
  return wanted
end

-- Keeps these on, and no more than each job wants.
local function write_wanted(wanted)
  for _, each in ipairs(wanted) do
    local job, most, age, members = unpack(each)
    local args = {}
    for _, member in ipairs(members) do
      args[#args + 1] = 0
      args[#args + 1] = member
    end
    if #args > 0 then
      variadic('ZADD', K.kept, args, 2)
      local from, to = kept_range(job)
      local excess = redis.call('ZLEXCOUNT', K.kept, from, to) - most
      local oldest = oldest_kept(job, 1)[1]
      if excess > 0 then
        forget_kept(oldest, math.min(excess, #members))
        oldest = oldest_kept(job, 1)[1]
      end
      if age and oldest then
        redis.call('ZADD', K['kept-until'], 'LT', int(kept_at(oldest) + age), job)
      end
    end
  end
end

-- Looks through what is kept of a job, and forgets what is past keeping, at most `limit` records.
-- Answers with how many it looked at, and whether there may be more.
local function trim_kept(job, t, limit)
  local most, age, till = keeping_of(redis.call('HGET', K.keeping, job))
  local oldest = oldest_kept(job, limit)
  local past = 0
  if not most then
    past = #oldest
  else
    local from, to = kept_range(job)
    past = math.max(0, math.min(#oldest, redis.call('ZLEXCOUNT', K.kept, from, to) - most))
    while age and past < #oldest and kept_at(oldest[past + 1]) < t - age do
      past = past + 1
    end
  end
  if past > 0 then
    forget_kept(oldest[1], past)
  end
  if past == limit then
    return past, true
  end
  local left = oldest[past + 1]
  if left and age then
    redis.call('ZADD', K['kept-until'], int(kept_at(left) + age + 1), job)
  elseif till and till > t then
    redis.call('ZADD', K['kept-until'], int(till), job)
  else
    redis.call('ZREM', K['kept-until'], job)
    if till then
      redis.call('HDEL', K.keeping, job)
    end
  end
  return #oldest, false
end

-- Notes of jobs that are long gone until when their policies count; what was kept by number only goes.
-- `texts` are what `keeping` says of them.
local function bury_kept(jobs, texts, t)
  for i, job in ipairs(jobs) do
    local most, age = keeping_of(texts[i])
    if age then
      local till = int(t + age)
      redis.call('HSET', K.keeping, job, int(most) .. ' ' .. int(age) .. ' ' .. till)
      redis.call('ZADD', K['kept-until'], 'LT', till, job)
    elseif most then
      redis.call('HDEL', K.keeping, job)
      redis.call('ZADD', K['kept-until'], int(t), job)
    end
  end
end
