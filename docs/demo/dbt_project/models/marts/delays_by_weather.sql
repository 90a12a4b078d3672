select
    case
        when visibility_km < 3 then 'fog, below 3 km'
        when rain_mm >= 2.5 then 'heavy rain'
        when rain_mm > 0 then 'light rain'
        when wind_kmh >= 30 then 'wind, above 30 km/h'
        else 'calm and dry'
    end as weather,
    count(*) as flights,
    cast(avg(case when is_late then 1.0 else 0.0 end) as double precision) as late_share
from {{ ref('flight_delays') }}
where arr_delay is not null and visibility_km is not null
group by 1
