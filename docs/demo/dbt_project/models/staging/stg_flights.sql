-- A correction is a row of a later batch; the last one is right.
with ranked as (
    select
        *,
        row_number() over (
            partition by month, day, carrier, flight, origin, dest, sched_dep_time
            order by batch desc
        ) as rank
    from {{ source('raw', 'raw_flights') }}
)

select
    concat_ws('-', carrier, flight, origin, dest, month, day, sched_dep_time) as flight_id,
    cast(concat_ws('-', year, month, day) as date) as flight_date,
    month,
    hour,
    carrier,
    origin,
    dest,
    distance,
    dep_delay,
    arr_delay,
    dep_delay is null as is_cancelled,
    batch
from ranked
where rank = 1
