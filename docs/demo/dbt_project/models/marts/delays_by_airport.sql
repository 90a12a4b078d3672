select
    delays.origin,
    airports.airport_name as airport,
    count(*) as flights,
    cast(avg(case when is_cancelled then 1.0 else 0.0 end) as double precision) as cancelled_share,
    cast(avg(case when arr_delay is null then null when is_late then 1.0 else 0.0 end) as double precision) as late_share
from {{ ref('flight_delays') }} as delays
inner join {{ ref('stg_airports') }} as airports on delays.origin = airports.airport
group by 1, 2
